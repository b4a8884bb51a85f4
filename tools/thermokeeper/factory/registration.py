"""A batch's serial numbers go to the server; said again, after a lost answer too, they are there once.

For GadgetKeeper the server gets each serial number with the key that proves its secret and a hash of its claim code,
which is made here: it takes its time, and the code itself is only in the journal and on the label. For Gecko OS DMS it
gives out a provisioning token for each board that has none, which then goes into its factory record.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from keeper.factory import identity
from keeper.services.gadgetkeeper.joining import proof
from keeper.services.gecko_dms.joining import record as dms_record
from thermokeeper.client.calls import VendorClient
from thermokeeper.client.connection import Refused
from thermokeeper.contract import claim_codes
from thermokeeper.errors import ToolError
from thermokeeper.factory.journal import Journal
from thermokeeper.factory.units import Plan, Unit
from thermokeeper.server.secrets import fingerprint

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
    coded = {unit.serial: unit.claim_code for unit in units if unit.claim_code}
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # each takes 50 ms
        hashes = dict(zip(coded, pool.map(claim_codes.hashed, coded.values(), coded), strict=True))
    try:
        client.add_serials(plan.product, list(keys), proof_keys=keys, claim_hashes=hashes)
        return
    except Refused as refusal:
        if refusal.code != "exists":
            raise
    # Perhaps ours, added by a call whose answer was lost.
    for serial, key in keys.items():
        try:
            client.add_serial(plan.product, serial, proof_key=key, claim_hash=hashes.get(serial))
        except Refused as refusal:
            if refusal.code != "exists":
                raise
            found = client.serial(serial)
            own = fingerprint(hashes[serial]) if serial in hashes else None
            if found.product != plan.product or (found.proof_key_id, found.claim_code_id) != (fingerprint(key), own):
                raise ToolError(
                    f"the server has the serial number {serial} from elsewhere, with another secret, claim code or "
                    "product: a board with it couldn't activate, or be claimed"
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
