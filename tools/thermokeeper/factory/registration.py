"""A batch's serial numbers go to the server; said again, after a lost answer too, they are there once.

For GadgetKeeper the server gets each serial number with the key that proves its secret. For Gecko OS DMS it gives out
a provisioning token for each board that has none, which then goes into its factory record.
"""

from collections.abc import Iterable

from keeper.factory import identity
from keeper.services.gadgetkeeper.joining import proof
from keeper.services.gecko_dms.joining import record as dms_record
from thermokeeper.client.calls import VendorClient
from thermokeeper.client.connection import Refused
from thermokeeper.errors import ToolError
from thermokeeper.factory.journal import Journal
from thermokeeper.factory.units import Plan, Unit
from thermokeeper.server.rules.proofs import key_id

_AT_ONCE = 200


def register(journal: Journal, batch: str, client: VendorClient) -> int:
    """Whatever of the batch isn't registered yet; how many that were."""
    plan = journal.plan(batch)
    done = journal.steps_of(batch)
    units = [unit for unit in journal.units(batch) if "registered" not in done[unit.serial] and not unit.scrapped]
    for begin in range(0, len(units), _AT_ONCE):
        some = units[begin : begin + _AT_ONCE]
        if plan.service == "gecko_dms":
            _get_tokens(journal, plan, some, done, client)
        else:
            _add(plan, some, client)
        for unit in some:
            journal.record(unit.serial, "registered")
    return len(units)


def _add(plan: Plan, units: list[Unit], client: VendorClient) -> None:
    keys = {unit.serial: _key(unit) for unit in units}
    try:
        client.add_serials(plan.product, list(keys), proof_keys=keys)
        return
    except Refused as refusal:
        if refusal.code != "exists":
            raise
    # Perhaps ours, added by a call whose answer was lost.
    for serial, key in keys.items():
        try:
            client.add_serial(plan.product, serial, proof_key=key)
        except Refused as refusal:
            if refusal.code != "exists":
                raise
            found = client.serial(serial)
            if found.product != plan.product or found.proof_key_id != key_id(key):
                raise ToolError(
                    f"the server has the serial number {serial} from elsewhere, with another secret or product: "
                    "a board with it couldn't activate"
                ) from None


def _get_tokens(
    journal: Journal, plan: Plan, units: Iterable[Unit], done: dict[str, dict[str, str]], client: VendorClient
) -> None:
    for unit in units:
        if unit.token:
            continue
        if "flashed" in done[unit.serial]:
            raise ToolError(f"{unit.serial} is flashed already, without a provisioning token")
        fields = {"serial": unit.serial, "product": plan.product, "service": plan.service, "server": plan.server}
        uuid = dms_record.uuid_of(identity.checked({**fields, **plan.members, **unit.members}))
        # A token whose answer was lost stays unused; the vendor sees it by its name.
        journal.set_token(unit.serial, client.create_dms_token(unit.serial, uuid=uuid).token)


def _key(unit: Unit) -> str:
    secret = proof.secret_of({"secret": unit.secret})
    assert secret is not None
    return proof.key_of(secret).hex()
