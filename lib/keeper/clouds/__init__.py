"""Two objects for each service: a driver, which knows the wire, never flash or NVS, and the device's standing with it.

All drivers have these verbs, and those with which their standing gets its credentials:

    use(credentials)   rename(name)
    target() -> Version or None   current() -> Version or None   confirm(version_id)   report(event, points)
    failed(version_id, version, why)   open_release(version_id, offset=0, etag=None, size=None) -> stream

A stream has readinto(buf) -> n (0 at the end), offset (where it really starts), end (where it ends, or None), size (of
all of the file, or None), etag, resumable (whether one can start anywhere) and close().

A verb raises NetError when the server wasn't reached or talked nonsense, CloudError when it refused; either may carry
`retry_after_ms`, the wait that the server asks for.

A standing gets credentials and keeps them in NVS: `keeper.activation.Activation` is one, and has the verbs of all.
"""

from keeper.errors import FactoryError


def driver(service):
    """The driver's class for the factory record's `service`; made with (client, server)."""
    if service == "gadgetkeeper":
        from keeper.clouds.gadgetkeeper import GadgetKeeper

        return GadgetKeeper
    if service == "gecko_dms":
        from keeper.clouds.dms_wire import DmsWire

        return DmsWire
    raise FactoryError("factory record: no driver for the service %s in this release" % service)


def join(found, client, store, thing_name=None):
    """(driver, standing) for an `identity.Identity`; FactoryError if its record isn't right for its service.

    thing_name: what the thing is to be called, or None.
    """
    cloud = driver(found.service)(client, found.server)
    if found.service == "gecko_dms":
        from keeper.clouds.gecko_dms import GeckoDms

        return cloud, GeckoDms(found, store, cloud, thing_name)
    from keeper.activation import Activation
    from keeper.proof import secret_of

    secret_of(found.extra)  # refuses a wrong one now, not at each try to activate

    return cloud, Activation(found, store, cloud, thing_name)
