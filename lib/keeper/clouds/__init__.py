"""One driver for each service, all with the same verbs; a driver knows the wire, never flash or NVS.

    activate(identity) -> {"key", "thing"}   use(credentials)   rename(name)
    target() -> Version or None   current() -> Version or None   confirm(version_id)   report(event, points)
    failed(version_id, version, why)   open_release(version_id, offset=0, etag=None, size=None) -> stream

A stream has readinto(buf) -> n (0 at the end), offset (where it really starts), end (where it ends, or None), size (of
all of the file, or None), etag, resumable (whether one can start anywhere) and close().

A verb raises NetError when the server wasn't reached or talked nonsense, CloudError when it refused; either may carry
`retry_after_ms`, the wait that the server asks for.
"""

from keeper.errors import FactoryError


def driver(service):
    """The driver's class for the factory record's `service`; made with (client, server)."""
    if service == "gadgetkeeper":
        from keeper.clouds.gadgetkeeper import GadgetKeeper

        return GadgetKeeper
    raise FactoryError("factory record: no driver for the service %s in this release" % service)
