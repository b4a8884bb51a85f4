"""How a device is provisioned and activated, and what of it is kept in NVS. A phase: at a start, and where it isn't."""

from keeper.services.gecko_dms.joining import calls, provisioning, record

_OF_THE_WIRE: dict = {
    "acknowledge": calls.acknowledge,
    "activate": calls.activate,
    "provision": calls.provision,
    "rename": calls.rename,
}
_OF_THE_STANDING: dict = {
    "activate": provisioning.be_activated,
    "describe": provisioning.describe,
    "ensure": provisioning.ensure,
    "factory_token": record.factory_token,
    "forget": provisioning.forget_all,
    "give_name": provisioning.name_thing,
    "provision": provisioning.be_provisioned,
    "recall": provisioning.recall,
    "status": provisioning.status,
    "uuid": record.uuid_of,
}


def call(verb, wire, *more):
    """Make the call that the wire wants by this name."""
    return _OF_THE_WIRE[verb](wire, *more)


def do(verb, subject, *more):
    """Do what the standing wants by this name."""
    return _OF_THE_STANDING[verb](subject, *more)
