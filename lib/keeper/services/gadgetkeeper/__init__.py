"""GadgetKeeper: activation by serial, target version, datapoints. What a device needs of it all the time."""

from keeper.services.gadgetkeeper.standing import Activation
from keeper.services.gadgetkeeper.wire import GadgetKeeper


def join(found, client, thing_name=None):
    """(driver, standing) for a `device.Device` of this service; FactoryError if its record isn't right for it."""
    from keeper.services.gadgetkeeper.joining.proof import secret_of

    secret_of(found.extra)  # refuses a wrong one now, not at each try to activate
    cloud = GadgetKeeper(client, found.server)
    return cloud, Activation(found, cloud, thing_name)
