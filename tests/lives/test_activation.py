"""Activation: the thing, its name, its key; and who may not have one."""

import json
import threading

import httpx
import pytest

from lives.front import Hold, cut_after, status
from lives.kit import FOR_HOURS, SERIAL
from thermokeeper.client.calls import OwnerClient


def activate(life):
    """What somebody else does who knows the serial."""
    return httpx.post(f"{life.company.server.url}/v1/provision/activate.json", json={"serialNumber": SERIAL}).json()


def target_status(life, key):
    """What the server answers to this key."""
    url = f"{life.company.server.url}/v1/things/{life.thing.id}/target-version.json"
    return httpx.get(url, headers={"X-ApiKey": key}).status_code


def test_the_first_activation_makes_the_thing_with_a_generated_name_that_the_board_then_changes(life):
    renaming = Hold()
    life.front.on("PUT /v1/things/[0-9a-f]+.json", renaming)
    assert life.vendor.serial(SERIAL).thing is None
    life.boots()
    life.says("identity", SERIAL)
    thing_id = life.says("activate", "done: thing ").rpartition(" ")[2]
    assert (life.thing.id, life.thing.name, life.thing.activation_count) == (thing_id, "Thermometer 1", 1)
    life.says("confirm", "confirmed on the server")
    renaming.let_go()
    life.says("thing", "named ThermometerDevice")
    assert life.thing.name == "ThermometerDevice"
    life.says("version", "up to date")
    kept = life.stored("cloud")
    assert (kept["thing"], kept["named"]) == (thing_id, True)
    assert target_status(life, kept["key"]) == 200


def test_a_thing_that_its_owner_made_first_is_not_changed_by_activation(life):
    owner = life.vendor.create_owner("Ada")
    with OwnerClient(life.vendor.url, owner.token) as ada:
        claimed = ada.claim(SERIAL, "Kitchen")
    renaming = Hold()
    life.front.on("PUT /v1/things/[0-9a-f]+.json", renaming)
    life.boots()
    life.says("activate", f"done: thing {claimed.id}")
    assert (life.thing.id, life.thing.name, life.thing.owner) == (claimed.id, "Kitchen", "Ada")
    assert life.thing.activation_count == 1
    life.says("confirm")
    renaming.let_go()
    life.says("thing")
    assert (life.thing.id, life.thing.owner) == (claimed.id, "Ada")


def test_activating_again_keeps_the_thing_and_rotates_the_key(life):
    life.boots()
    life.says("confirm")
    life.off()
    before = life.stored("cloud")
    life.change_nvs(lambda open_: open_("keeper").erase_key("cloud"))
    life.boots()
    life.says("activate", "done")
    life.says("version", "up to date")
    life.off()
    after = life.stored("cloud")
    assert after["thing"] == before["thing"] and after["key"] != before["key"]
    assert (target_status(life, before["key"]), target_status(life, after["key"])) == (401, 200)
    assert life.thing.activation_count == 2


def test_a_board_keeps_its_key_over_a_power_cycle(life):
    life.boots()
    life.says("confirm")
    life.off()
    life.boots()
    life.says("version", "up to date")
    life.measures(3)
    assert life.thing.activation_count == 1
    assert not life.front.asked("PUT /v1/things/[0-9a-f]+.json")[1:], "named once"


def test_a_board_whose_key_somebody_else_dropped_activates_once_by_itself(life):
    life.boots()
    life.says("version", "up to date")
    activate(life)
    life.says("activate", "doesn't know this key and thing any more")
    life.says("activate", "done")
    life.measures(4)
    assert life.thing.activation_count == 3
    life.off()
    assert target_status(life, life.stored("cloud")["key"]) == 200


def test_a_key_that_is_refused_again_and_again_does_not_make_the_board_activate_in_a_loop(life):
    life.front.on(".* /v1/things/", status(401))
    life.boots()
    life.says("wait")
    if life.runtime.quick:
        life.measures(3)
        assert 2 <= life.thing.activation_count <= 4
        return
    life.measures(120)  # an hour, in which the pauses grow
    before = life.thing.activation_count
    life.measures(240)
    assert 2 <= before <= 20
    assert life.thing.activation_count - before <= 18


@pytest.mark.whole
@FOR_HOURS
def test_two_boards_with_one_serial_do_not_take_the_key_from_each_other_for_ever(life, new_life):
    twin = new_life(register=False).made()
    life.boots()
    twin.boots()
    together = [threading.Thread(target=board.measures, args=(240, 200)) for board in (life, twin)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert len(life.said("reading")) == len(twin.said("reading")) == 240  # two hours
    assert life.thing.activation_count <= 40


def test_an_unknown_serial_is_said_and_tried_again_with_growing_pauses(company, new_life):
    company.publish("1.0.0")
    life = new_life(register=False).made()
    life.boots()
    life.says("wait", "no such serial number; next try in [12] s")
    life.measures(4)
    assert len(life.front.asked("POST .*/activate")) <= 8
    life.vendor.add_serial("thermometer", SERIAL)
    life.says("activate", "done")
    life.says("confirm")


def test_a_blocked_serial_gets_no_key_until_it_is_unblocked(life):
    life.vendor.block(SERIAL)
    life.boots()
    life.says("wait", "serial number is blocked")
    life.measures(2)
    assert life.vendor.serial(SERIAL).thing is None
    assert life.stored("cloud") is None
    life.vendor.unblock(SERIAL)
    life.says("activate", "done")
    life.says("confirm")
    life.measures(3)
    assert len(life.readings()) >= 3, "what was measured meanwhile is delivered, too"


def test_a_board_that_is_blocked_later_goes_on_measuring(life):
    life.boots()
    life.says("version", "up to date")
    life.vendor.block(SERIAL)
    life.says("wait", "blocked")
    life.measures(3)
    life.vendor.unblock(SERIAL)
    life.says("version", "up to date")


def test_a_lost_answer_to_an_activation_costs_one_more_activation(life):
    life.front.on("POST .*/activate", cut_after(60), times=1)
    life.boots()
    life.says("wait", "closed|cut|middle")
    life.says("activate", "done")
    life.says("confirm")
    assert life.thing.activation_count == 2
    assert len(list(life.vendor.things())) == 1


def test_keys_of_another_server_are_not_used(life):
    life.boots()
    life.says("confirm")
    life.off()
    kept = life.stored("cloud")
    kept["server"] = "http://elsewhere.example:8210"
    life.change_nvs(lambda open_: open_("keeper").set_blob("cloud", json.dumps(kept).encode()))
    life.front.forget()
    life.boots()
    life.says("activate", "another server: not used")
    life.says("activate", "done")
    life.says("version")
    assert kept["key"] not in [request.headers.get("x-apikey") for request in life.front.requests]
