"""One folder for each service: its wire, which never knows flash or NVS, and how a device stands with it.

Here is what they have in common, always in memory. Of a service's own folder, too, only the one in use is loaded, and
of that what a device needs all the time; its folder `joining` is loaded to get credentials, `changing` where a release
is asked for or confirmed. All wires have these verbs, and those with which their standing gets its credentials:

    use(credentials)   target() -> Version or None   report(event, points)   rest(): forget what is loaded now and then
    rename(name)   current() -> Version or None   confirm(version_id)   failed(version_id, version, why)
    open_release(version_id, offset=0, etag=None, size=None) -> stream

A stream has readinto(buf) -> n (0 at the end), offset (where it really starts), end (where it ends, or None), size (of
all of the file, or None), etag, resumable (whether one can start anywhere) and close().

A verb raises NetError when the server wasn't reached or talked nonsense, CloudError when it refused; either may carry
`retry_after_ms`, the wait that the server asks for.

A standing gets credentials and keeps them in NVS: `gadgetkeeper.standing.Activation` is one, and has the verbs of all.
"""
