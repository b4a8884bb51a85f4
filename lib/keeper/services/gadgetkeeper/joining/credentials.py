"""The credentials of a board with GadgetKeeper: got by an activation, kept in one record of NVS, `cloud`.

standing: `standing.Activation`, which keeps what is found here. It knows the wire's verbs, not the wire.
"""

from keeper.console import say
from keeper.nvs.state import Store
from keeper.services.naming import give_name


def recall(standing):
    """Take the credentials that NVS holds, if they are for this serial, service and server."""
    found = Store().load("cloud")
    if not isinstance(found, dict) or not _is_word(found.get("thing")):
        return
    origin = _origin(standing)
    for field in origin:
        # A record of schema 0 doesn't say where its key is from: it is from the only server that there was.
        if found.get(field, origin[field]) != origin[field]:
            say("activate", "the stored key belongs to another %s: not used" % field)
            return
    if found.get("named"):
        standing.named_thing = found["thing"]
    if _is_word(found.get("key")):
        standing.cloud.use(found)
        standing.credentials = found


def name_thing(standing):
    """Name the thing, and remember that. Raises CloudError, NetError, StateError."""
    give_name(standing.cloud, standing.name)
    standing.named_thing = standing.credentials["thing"]
    standing.credentials["named"] = True
    Store().save("cloud", standing.credentials)


def forget_all(standing):
    """Erase the key; that the thing has its name is still known."""
    store = Store()
    store.erase("cloud")
    standing.credentials = None
    if standing.named_thing:
        store.save("cloud", dict(_origin(standing), thing=standing.named_thing, named=True))


def describe(standing):
    """What stands where, nothing secret."""
    told = dict(_origin(standing), product=standing.product())
    told["state"] = "activated" if standing.active() else "not activated"
    told["thing"] = standing.thing() if standing.active() else None
    return told


def be_activated(standing):
    """Get a key, and keep it. Raises CloudError, NetError, StateError; then what there was is as it was."""
    identity = standing.identity
    say("activate", "serial %s at %s" % (identity.serial, identity.server))
    found = standing.cloud.activate(identity)
    found.update(_origin(standing))
    found["named"] = found["thing"] == standing.named_thing
    Store().save("cloud", found)
    standing.credentials = found
    standing.cloud.use(found)
    say("activate", "done: thing %s" % found["thing"])


def _origin(standing):
    identity = standing.identity
    return {"serial": identity.serial, "service": identity.service, "server": identity.server}


def _is_word(value):
    return isinstance(value, str) and value != ""
