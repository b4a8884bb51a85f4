"""A device of Gecko OS DMS gets its credential, acknowledges it, and is activated to a product.

Everything is in one record in NVS, `dms`: each step is kept whole or not at all, and may be cut off on either side, the
next call finishes it. The record belongs to one serial, uuid, service and server. docs/life-cycle.md has the states.
standing: `standing.GeckoDms`, which keeps what counts later. It knows the wire's verbs, not the wire.
"""

from keeper.console import say
from keeper.errors import CloudError
from keeper.nvs.state import Store
from keeper.services.gecko_dms.joining.record import checked_code, is_token, mark_of, sound
from keeper.services.gecko_dms.standing import (
    COMPLETE,
    COMPLETE_BUT_NO_ACK,
    INCOMPLETE_AND_HAVE_TOKEN,
    INCOMPLETE_AND_NO_TOKEN,
)
from keeper.services.naming import give_name

_UNKNOWN = "unauthorized"  # the DMS's own word for a credential that it doesn't know
_NAMES = ("no token", "not provisioned yet", "not acknowledged yet", "provisioned")


def recall(standing):
    """Take what NVS holds, if it is for this serial, uuid, service and server."""
    found = Store().load("dms")
    if not isinstance(found, dict):
        return
    origin = _origin(standing)
    for field in origin:
        if found.get(field) != origin[field]:
            say("provision", "what is stored belongs to another %s: not used" % field)
            return
    standing.record = sound(found)
    standing.cloud.use(standing.record.get("credential"))


def status(standing):
    """One of the vendor's four states."""
    if "credential" in standing.record:
        return COMPLETE if standing.record["acked"] else COMPLETE_BUT_NO_ACK
    return INCOMPLETE_AND_HAVE_TOKEN if _token(standing) else INCOMPLETE_AND_NO_TOKEN


def be_provisioned(standing, token=None):
    """Do what is missing to be provisioned; token: stored first, if there is no credential yet."""
    before = status(standing)
    if before <= INCOMPLETE_AND_HAVE_TOKEN:
        if token is not None and token != _token(standing):
            if not is_token(token):
                raise CloudError(400, "", "that is no provisioning token: 1 to 64 letters, digits, - and _")
            _keep(standing, token=token)
        _get_credential(standing)
    if before != COMPLETE:
        _acknowledge(standing)


def be_activated(standing, product_code=None):
    """Become a device of the product (None: of the one that it is of): the server's answer, a dict."""
    code = checked_code(standing.product() if product_code is None else product_code)
    if status(standing) != COMPLETE:
        raise CloudError(401, "", "%s: it can't be activated" % _NAMES[status(standing)])
    if code != standing.record.get("wanted", standing.product()):
        _keep(standing, wanted=code)
    say("activate", "to product %s at %s" % (code, standing.identity.server))
    try:
        answer = standing.cloud.activate(code)
    except CloudError as error:
        if error.status in (400, 404) or (error.status == 403 and "thing" in standing.record):
            _keep(standing, wanted=None)  # refused for good: it stays what it is
        raise
    _keep(standing, product=code, thing=answer["thing"], wanted=None)
    standing.stale = False
    say("activate", "done: thing %s of product %s" % (answer["thing"], code))
    return answer


def ensure(standing):
    """Provision and activate, as far as it isn't done."""
    be_provisioned(standing)
    if "wanted" in standing.record or not standing.active():
        be_activated(standing, standing.record.get("wanted"))


def name_thing(standing):
    """Name the thing, and remember that."""
    give_name(standing.cloud, standing.name)
    _keep(standing, named=standing.record["thing"])


def forget_all(standing):
    """Erase token and credential; product and name of the thing are still known."""
    record = standing.record
    kept = {name: record[name] for name in ("product", "named", "spent") if name in record}
    if kept:
        Store().save("dms", dict(kept, **_origin(standing)))
    else:
        Store().erase("dms")
    standing.record = kept
    standing.cloud.use(None)


def describe(standing):
    """What stands where, nothing secret."""
    told = dict(_origin(standing), product=standing.product())
    told["state"] = "activated" if standing.active() else _NAMES[status(standing)]
    told["thing"] = standing.record.get("thing")
    return told


def _token(standing):
    """The token that may be used, or None; the factory record's can't be erased there, and counts once."""
    token, recorded = standing.record.get("token"), standing.factory_token
    if token is None and recorded and mark_of(recorded) != standing.record.get("spent"):
        return recorded
    return token


def _get_credential(standing):
    token = _token(standing)
    if token is None:
        raise CloudError(
            401, "no_token", "this device has no provisioning token: give it one on its console (provision)"
        )
    say("provision", "device %s at %s" % (standing.uuid, standing.identity.server))
    credential = standing.cloud.provision(token, standing.uuid)
    _keep(standing, credential=credential, acked=False, thing=None)
    standing.cloud.use(credential)


def _acknowledge(standing):
    try:
        standing.cloud.acknowledge()
    except CloudError as error:
        # A proxy on the way says 401, too: only the DMS's own costs the credential, for the token is spent.
        if error.status != 401 or error.code != _UNKNOWN:
            raise
        _keep(standing, credential=None, acked=None)
        standing.cloud.use(None)
        raise CloudError(401, error.code, "the credential was replaced or taken back: the token is used once more")
    if "token" in standing.record:
        _keep(standing, acked=True, token=None)
    else:
        recorded = standing.factory_token
        _keep(standing, acked=True, spent=recorded and mark_of(recorded))
    say("provision", "done: device %s" % standing.uuid)


def _keep(standing, **changes):
    """Store the record with the changes; a None takes the field away. Nothing has changed if that fails."""
    record = dict(standing.record)
    record.update(changes)
    record = {name: record[name] for name in record if record[name] is not None}
    if record != standing.record:
        Store().save("dms", dict(record, **_origin(standing)))
        standing.record = record


def _origin(standing):
    identity = standing.identity
    return {
        "serial": identity.serial,
        "service": identity.service,
        "server": identity.server,
        "uuid": standing.uuid,
    }
