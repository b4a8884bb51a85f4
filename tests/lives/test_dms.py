"""Boards of the service gecko_dms: provisioned by a token, claimed, activated to a product, kept up to date."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lives.dms import (
    ACKNOWLEDGE,
    ACTIVATE,
    CONFIRM,
    CURRENT,
    FAILURE,
    OWNER,
    PROVISION,
    RELEASE,
    RENAME,
    TARGET,
    UNCLAIMED,
    DmsLife,
    owner_with_access,
    publish_product,
)
from lives.front import Hold, Reply, cut_after, says
from lives.kit import CRASHES, FOR_HOURS, MICROPYTHON, Company
from thermokeeper.client.calls import OwnerClient
from thermokeeper.contract.dms_schemas import DmsToken
from thermokeeper.simulator.world import MOMENTS

LOST = {"before the server did it": says(b""), "after the server did it": cut_after(0)}
NewBoard = Callable[..., DmsLife]


@pytest.fixture
def owner(company: Company) -> Iterator[OwnerClient]:
    """Somebody with access to the product, who has claimed nothing yet."""
    with owner_with_access(company.vendor) as client:
        yield client


@pytest.fixture
def new_board(company: Company, tmp_path: Path) -> Iterator[NewBoard]:
    """Makes boards that aren't written yet."""
    lives: list[DmsLife] = []

    def make(**options: str) -> DmsLife:
        lives.append(DmsLife(tmp_path, company, **options))
        return lives[-1]

    yield make
    for life in lives:
        life.off()


@pytest.fixture
def life(new_board: NewBoard, owner: OwnerClient) -> DmsLife:
    """A board with release 1.0.0, which is published, and with a token of its own; it is claimed, and not on yet."""
    life = new_board()
    life.made(token=life.vendor.create_dms_token(uuid=life.number).token)
    owner.claim_device(life.number)
    return life


def only_token(life: DmsLife) -> DmsToken:
    (token,) = life.vendor.dms_tokens()
    return token


def is_whole(life: DmsLife, version: str = "1.0.0") -> None:
    """Board and server agree on everything, and one use of one token was enough."""
    if not life.said("version") or life.thing.name != "ThermometerDevice":
        life.says("thing", "named ThermometerDevice")  # when nothing else is to be done
    life.off()
    device, token, record = life.device, only_token(life), life.record
    assert (device.state, device.offered, device.product, device.owner) == ("activated", False, "thermometer", OWNER)
    assert (token.state, token.taken, token.acknowledged) == ("used", 1, 1)
    assert (life.thing.name, life.version) == ("ThermometerDevice", version)
    assert record["acked"] and "token" not in record and "wanted" not in record
    assert (record["uuid"], record["thing"], record["product"]) == (life.number, life.thing.id, "thermometer")
    assert record["credential"] not in life.told()
    assert not life.said("rollback")


# -- from the token to the product -------------------------------------------------------------------------------------


def test_a_board_with_a_token_is_provisioned_activated_and_updated_and_delivers_readings(life):
    life.boots()
    life.says("provision", f"done: device {life.number}")
    life.says("activate", "done: thing [0-9a-f]{32} of product thermometer")
    life.says("version", "up to date: 1.0.0")
    expected = ["provision", "acknowledge", "activate", "target", "current", "confirm", "rename"]
    assert life.steps()[:7] == expected
    life.measures(3)
    life.publish("2.0.0")
    life.says("slot", "ota_1 runs release 2.0.0, on trial")
    life.says("trial", "passed")
    life.says("confirm", life.company.versions["2.0.0"].id)
    assert life.steps().count("confirm") == 2 and life.steps().count("provision") == 1
    taken = len(life.said("reading"))
    while len(life.readings()) < taken:
        life.measures(1)
    is_whole(life, "2.0.0")


def test_a_provisioned_board_starts_again_without_a_word_of_it(life):
    life.boots()
    life.says("version", "up to date")
    life.off()
    kept = life.read("nvs")
    life.front.forget()
    life.boots()
    life.says("version", "up to date")
    life.measures(2)
    assert set(life.steps()) == {"target"}
    life.off()
    assert life.read("nvs") == kept


def test_a_board_that_was_given_a_uuid_uses_that(life):
    uuid = "01234567-89ab-cdef-0123-456789abcdef"
    life.made(uuid=uuid, token=life.vendor.create_dms_token(uses=2).token)
    life.boots()
    life.says("provision", f"done: device {uuid}")
    life.says("wait", UNCLAIMED)
    assert life.vendor.dms_device(uuid).state == "acknowledged"
    assert life.ask("status")["result"]["uuid"] == uuid


def test_a_token_may_be_typed_on_the_console(life):
    life.made()
    life.boots()
    life.says("wait", "no provisioning token: give it one on its console")
    life.measures(2)
    assert not life.front.requests
    assert "no token" in life.ask("status")["result"]["state"]
    wrong = life.ask("provision T0KEN-OF-NOBODY")
    assert not wrong["ok"] and "token is unknown" in wrong["error"]
    life.vendor.revoke_dms_token(only_token(life).id)
    token = life.vendor.create_dms_token(uuid=life.number)
    assert life.ask(f"provision {token.token}")["result"] == "provisioned"
    life.says("confirm")
    again = life.ask("provision ANOTHER")
    assert again["ok"] and "as before" in again["result"]
    life.off()
    assert life.device.token == token.id and life.record["acked"] and "token" not in life.record
    assert token.token not in life.told() and "T0KEN" not in life.told()


def test_a_token_that_is_typed_while_the_server_is_away_is_kept(life):
    life.made()
    life.front.down()
    life.boots()
    life.says("wait", "no provisioning token")
    (known,) = life.vendor.dms_tokens()
    token = life.vendor.create_dms_token(uuid=life.number).token
    answer = life.ask(f"provision {token}")
    assert not answer["ok"] and "the token is kept" in answer["error"]
    life.off()
    assert life.record["token"] == token
    life.front.up()
    life.boots()
    life.says("confirm")
    assert [found.taken for found in life.vendor.dms_tokens()] == [0, 1] and not known.taken


def test_a_board_waits_to_be_claimed_by_somebody_with_access_and_then_goes_on_by_itself(new_board, company):
    company.publish("1.0.0")
    life = new_board()
    life.made(token=life.vendor.create_dms_token(uuid=life.number).token)
    life.boots()
    life.says("wait", f"{UNCLAIMED}: it must be claimed by a user with access to the product")
    assert life.device.state == "acknowledged"
    stranger = life.vendor.create_owner("Eve")
    with OwnerClient(life.vendor.url, stranger.token) as eve:
        eve.claim_device(life.number)
    life.says("wait", "no access to this product")
    life.measures(2)
    assert life.steps().count("provision") == life.steps().count("acknowledge") == 1
    assert life.device.state == "acknowledged" and not life.front.asked(TARGET)
    life.vendor.grant_access("Eve", "thermometer")
    life.says("activate", "done")
    life.says("confirm")
    life.measures(3)
    while len(life.readings()) < 4:
        life.measures(1)


@pytest.mark.whole
@FOR_HOURS
def test_a_board_that_nobody_claims_asks_more_and_more_rarely(new_board, company):
    company.publish("1.0.0")
    life = new_board()
    life.made(token=life.vendor.create_dms_token(uuid=life.number).token)
    life.boots()
    life.measures(120)  # an hour
    assert 8 <= life.steps().count("activate") <= 16
    life.measures(120)
    assert life.steps().count("activate") <= 16 + 8


# -- another product ---------------------------------------------------------------------------------------------------


def test_a_board_that_is_activated_to_another_product_gets_and_runs_its_release(life):
    lamp5 = publish_product(life.company, "lamp", "5.0.0")
    life.boots()
    life.says("version", "up to date: 1.0.0")
    thing_id = life.thing.id
    refused = life.ask("activate lamp")
    assert not refused["ok"] and "no access to this product" in refused["error"]
    assert "no product with this code" in life.ask("activate lantern")["error"]
    assert life.ask("status")["result"]["product"] == "thermometer"
    life.vendor.grant_access(OWNER, "lamp")
    assert life.ask("activate lamp")["result"] == "activated"
    life.says("update", "to 5.0.0")
    life.says("slot", "ota_1 runs release 5.0.0, on trial")
    life.says("confirm", lamp5)
    assert (life.thing.id, life.thing.product, life.version) == (thing_id, "lamp", "5.0.0")
    assert life.ask("status")["result"]["product"] == "lamp"
    delivered = len(life.readings())
    life.measures(2)
    while len(life.readings()) < delivered + 2:
        life.measures(1)
    assert life.ask("activate thermometer")["result"] == "activated"
    life.says("slot", "ota_0 runs release 1.0.0, on trial")
    life.says("confirm", life.company.versions["1.0.0"].id)
    is_whole(life)


def test_a_release_of_another_product_is_not_taken(life):
    life.boots()
    life.says("version", "up to date")
    life.company.slips_in(
        "2.0.0", life.company.foundry.release("2.0.0", life.runtime.source, product="lamp").read_bytes()
    )
    life.says("wait", "lamp")
    life.publish("3.0.0")
    life.says("version", "up to date: 3.0.0")
    assert life.happened("reset") == 1


def test_a_release_that_fails_is_left_and_the_server_is_told(life):
    life.boots()
    life.says("version", "up to date: 1.0.0")
    failed = life.publish("2.0.0", CRASHES)
    life.says("reset", "2.0.0")
    life.says("slot", "ota_0 runs release 1.0.0, valid")
    life.says("rollback", "release 2.0.0 didn't prove itself")
    life.says("version", "2.0.0 failed on this board")
    assert life.failure() == f"2.0.0 ({failed.id}): reset; crash: ValueError: broken on purpose"
    assert len(life.front.asked(FAILURE)) == 1
    (told,) = life.thing.update_failures
    assert (told.version_id, told.version, told.count) == (failed.id, "2.0.0", 1)
    life.publish("3.0.0")
    life.says("confirm", life.company.versions["3.0.0"].id)
    assert life.version == "3.0.0"


# -- what is lost on the way -------------------------------------------------------------------------------------------


@pytest.mark.whole
@FOR_HOURS
@pytest.mark.parametrize("moment", LOST)
@pytest.mark.parametrize("call", [PROVISION, ACKNOWLEDGE, ACTIVATE, RENAME, TARGET, CURRENT, CONFIRM])
def test_an_exchange_that_is_lost_is_finished_by_the_next(life, call, moment):
    rule = life.front.on(call, LOST[moment], times=1)
    life.boots()
    life.says("version", "up to date: 1.0.0")
    if call == RENAME:
        life.says("thing", "named ThermometerDevice")
    assert rule.left == 0 and len(life.said("later" if call == RENAME else "wait")) == 1
    assert life.thing.activation_count == (2 if call == ACTIVATE and "after" in moment else 1)
    is_whole(life)


@pytest.mark.parametrize("reply", LOST.values(), ids=LOST)
def test_each_exchange_is_lost_once_in_one_life(life: DmsLife, reply: Reply) -> None:
    rules = [life.front.on(call, reply, times=1) for call in (PROVISION, ACKNOWLEDGE, ACTIVATE, TARGET, RELEASE)]
    life.boots()
    life.says("version", "up to date: 1.0.0", within_s=40)
    life.publish("2.0.0")
    life.says("version", "up to date: 2.0.0")
    assert not any(rule.left for rule in rules)
    is_whole(life, "2.0.0")


def test_the_server_is_restarted_in_the_middle_of_everything(life):
    server = life.company.server
    life.boots()
    for call, topic in ((ACTIVATE, "provision"), (TARGET, "activate")):
        held = Hold()
        rule = life.front.on(call, held)
        life.says(topic, "done")
        server.stop()
        held.let_go()
        life.says("wait")
        server.start()
        life.front.off(rule)
    life.says("version", "up to date: 1.0.0")
    life.publish("2.0.0")
    life.says("download", "^40%")
    server.stop()
    server.start()
    life.says("slot", "2.0.0, on trial")
    server.stop()
    life.says("wait")
    server.start()
    life.says("version", "up to date: 2.0.0")
    is_whole(life, "2.0.0")


@pytest.mark.whole
@FOR_HOURS
@pytest.mark.parametrize("typed", [False, True], ids=["token of the factory record", "token typed before"])
def test_a_power_cut_anywhere_in_the_provisioning_costs_no_second_use_of_the_token(company, new_board, typed):
    company.publish("1.0.0")
    made = company.vendor.create_dms_token(uses=10_000)
    bare = new_board(serial="THERM-BARE")  # it has started before, without a network: what is left to do is this
    bare.made(**({} if typed else {"token": made.token}))
    if typed:
        company.front.down()
        bare.boots()
        bare.says("wait", "no provisioning token")
        assert "the token is kept" in bare.ask(f"provision {made.token}")["error"]
        company.front.up()
    else:
        bare.world.update(networks=[])
        bare.boots()
        bare.measures(1)
    bare.off()
    assert made.token not in bare.told()

    def provisioned(number: int, *cut: object) -> DmsLife:
        """Another such board, until it waits for its owner."""
        life = new_board(serial=f"THERM-{number}")
        life.made(**({} if typed else {"token": made.token}))
        for label in ("nvs", "otadata"):
            life.write(label, bare.read(label))
        if typed:
            record = {**bare.record, "serial": life.serial, "uuid": life.number}
            life.change_nvs(lambda open_: open_("keeper").set_blob("dms", json.dumps(record).encode()))
        if cut:
            life.world.cut(*cut)
        life.boots()
        life.says("wait", UNCLAIMED)
        life.off()
        assert life.happened("cut") == bool(cut), cut
        assert life.device.state == "acknowledged" and not life.device.offered, cut
        return life

    def kept(life: DmsLife) -> dict[str, object]:
        """Its record, without what differs from board to board."""
        record = dict(life.record)
        own = [record.pop(name) for name in ("serial", "uuid", "credential")]
        assert own[:2] == [life.serial, life.number] and own[2]
        return record

    uncut = provisioned(0)
    operations = len(uncut.board.operations)
    written = {operation.partition for operation in uncut.board.operations}
    assert operations >= 8 and written == {"nvs"}
    cuts = [(operation, moment, operation) for operation in range(operations) for moment in MOMENTS]
    for number, cut in enumerate(cuts, 1):
        life = provisioned(number, *cut)
        assert kept(life) == kept(uncut), cut
        life.flash.unlink()
        assert only_token(life).taken == only_token(life).acknowledged == number + 1, cut


# -- who may not -------------------------------------------------------------------------------------------------------


def test_a_token_is_of_no_use_to_a_second_board(company, new_board, owner):
    company.publish("1.0.0")
    token = company.vendor.create_dms_token().token
    life, twin = [new_board(serial=f"THERM-{name}").made(token=token) for name in ("ONE", "TWO")]
    lost = life.front.on(ACKNOWLEDGE, says(b""))
    life.boots()
    life.says("wait", "closed without an answer")
    life.off()
    assert life.device.state == "provisioned"
    twin.boots()
    twin.says("wait", "used up", within_s=30)
    twin.off()
    life.front.off(lost)
    life.boots()
    life.says("wait", UNCLAIMED)
    owner.claim_device(life.number)
    life.says("version", "up to date")
    life.off()
    twin.boots()
    twin.says("wait", "used up")
    twin.measures(2)
    twin.off()
    assert [device.uuid for device in life.vendor.dms_devices()] == [life.number]
    assert "credential" not in (twin.record or {}) and "spent" not in (twin.record or {})
    is_whole(life)


def test_a_copy_of_a_board_gets_nothing_with_the_same_token(life, new_board):
    life.boots()
    life.says("version", "up to date")
    copy = new_board().made()
    copy.write("factory", life.read("factory"))
    copy.boots()
    copy.says("wait", "it is spent")
    copy.off()
    life.measures(2)
    is_whole(life)


def test_a_board_that_is_forgotten_says_so_and_needs_a_new_token(life):
    life.boots()
    life.says("version", "up to date")
    thing_id = life.thing.id
    life.provisioned_by_another(life.vendor.create_dms_token(uuid=life.number).token)
    life.says("provision", "doesn't know this device any more: reset-credentials and a new token")
    asked = len(life.front.requests)
    life.measures(4 if life.runtime == MICROPYTHON else 120)
    assert len(life.said("provision")) == 3, "said once"
    assert len(life.front.requests) - asked <= 40, "it asks more and more rarely"
    assert "begins anew" in life.ask("reset-credentials yes")["result"]
    life.says("wait", "no provisioning token")
    token = life.vendor.create_dms_token(uuid=life.number).token
    assert life.ask(f"provision {token}")["result"] == "provisioned"
    life.says("activate", f"done: thing {thing_id}")
    life.says("version", "up to date: 1.0.0")
    taken = len(life.said("reading"))
    while len(life.readings()) < taken:
        life.measures(1)
    assert (life.thing.id, life.version) == (thing_id, "1.0.0")
