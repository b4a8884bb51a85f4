"""Gecko OS DMS: provisioned with a token, activated to a product. What a device needs of it all the time."""

from keeper.services.gecko_dms.standing import GeckoDms
from keeper.services.gecko_dms.wire import DmsWire


def join(found, client, thing_name=None):
    """(driver, standing) for a `device.Device` of this service; FactoryError if its record isn't right for it."""
    cloud = DmsWire(client, found.server)
    return cloud, GeckoDms(found, cloud, thing_name)
