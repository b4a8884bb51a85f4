"""Which version runs, which should: what is asked, downloaded and confirmed, in the order of the scenario."""

import pytest

from lives.front import status

TARGET = "GET /v1/things/[0-9a-f]+/target-version"
CURRENT = "GET /v1/things/[0-9a-f]+/version"
CONFIRM = "PUT /v1/things/[0-9a-f]+/version"
FIRMWARE = "GET /v1/versions/[0-9a-f]+/firmware"
STEPS = {"POST /v1/provision": "activate", "PUT /v1/things/[0-9a-f]+.json": "rename", TARGET: "target"} | {
    CURRENT: "current",
    FIRMWARE: "firmware",
    CONFIRM: "confirm",
}


def steps(life):
    """The provisioning calls so far, in words."""
    names = [
        [name for pattern, name in STEPS.items() if request in life.front.asked(pattern)]
        for request in list(life.front.requests)
    ]
    return [name[0] for name in names if name]


def forget(life, *records):
    """Let NVS have no such records, as on a new board."""
    for record in records:
        life.change_nvs(lambda open_, name=record: open_("keeper").erase_key(name))


def test_a_new_board_goes_through_the_steps_in_their_order(life):
    life.boots()
    life.says("version", "up to date: 1.0.0")
    assert steps(life) == ["activate", "target", "current", "confirm", "rename"]
    assert life.version == "1.0.0"


def test_a_version_id_in_nvs_is_not_asked_for_again_and_equal_ids_download_nothing(life):
    life.boots()
    life.says("version", "up to date")
    life.off()
    life.front.forget()
    life.boots()
    life.says("version", "up to date")
    life.measures(3)
    assert set(steps(life)) == {"target"}
    assert life.stored("release")["id"] == life.company.versions["1.0.0"].id


def test_a_version_id_that_nvs_does_not_know_is_asked_from_the_server(life):
    life.boots()
    life.says("version", "up to date")
    life.off()
    forget(life, "release")
    life.front.forget()
    life.boots()
    life.says("version", "up to date")
    assert steps(life) == ["target", "current"], "nothing is downloaded, and there is nothing new to confirm"
    life.off()
    assert life.stored("release")["id"] == life.company.versions["1.0.0"].id


def test_without_any_known_version_the_target_is_downloaded(company, new_life):
    company.publish("2.0.0")
    life = new_life().made()  # with 1.0.0, which the server never heard of
    life.boots()
    life.says("confirm", "confirmed on the server")
    assert steps(life)[:4] == ["activate", "target", "current", "firmware"]
    assert steps(life)[-1] == "confirm"
    assert (life.version, life.board.slot) == ("2.0.0", "ota_1")


def test_the_server_without_a_target_is_no_trouble(company, new_life):
    life = new_life().made()
    life.boots()
    life.says("version", "none")
    life.measures(2)
    company.publish("1.0.0")
    life.says("confirm")
    assert not life.front.asked(FIRMWARE), "it runs already what is published"


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "base64-in-JSON"])
def test_an_update_arrives_is_tried_and_is_confirmed(life, raw):
    if not raw:
        life.front.on("GET .*/firmware.bin", status(404))
    life.boots()
    life.says("version", "up to date: 1.0.0")
    life.publish("2.0.0")
    life.front.forget()
    life.says("update", "to 2.0.0")
    life.says("download", "^50%")
    life.says("reset", "into release 2.0.0 in ota_1")
    life.suffers("reset")
    life.says("slot", "ota_1 runs release 2.0.0, on trial")
    life.says("trial", "passed")
    life.says("confirm", life.company.versions["2.0.0"].id)
    life.says("version", "up to date: 2.0.0")
    assert "confirm" in steps(life) and steps(life).count("confirm") == 1
    assert bool(life.front.asked("GET .*/firmware.json")) is not raw
    life.measures(2)
    assert life.version == "2.0.0" and life.thing.activation_count == 1
    life.off()
    assert life.stored("release")["id"] == life.company.versions["2.0.0"].id
    life.boots()
    life.says("slot", "ota_1 runs release 2.0.0, valid")


def test_updates_go_on_from_slot_to_slot_and_back_to_an_earlier_version(life):
    life.boots()
    life.says("version", "up to date")
    for version, slot in (("2.0.0", "ota_1"), ("3.0.0", "ota_0"), ("2.0.0", "ota_1")):
        life.publish(version)
        life.says("confirm", life.company.versions[version].id)
        assert (life.version, life.board.slot) == (version, slot)


def test_the_same_release_under_a_new_version_is_confirmed_without_a_download(life):
    life.boots()
    life.says("version", "up to date")
    life.front.forget()
    renamed = life.company.publish_file("1.0.0-final", life.company.foundry.release("1.0.0", life.runtime.source))
    life.says("confirm", renamed.id)
    assert not life.front.asked(FIRMWARE)


def test_a_version_withdrawn_while_a_board_fetches_it_does_not_keep_it_from_the_next(life):
    life.boots()
    life.says("version", "up to date")
    withdrawn = life.publish("2.0.0")
    refusal = life.front.on(CONFIRM, status(404))
    life.says("confirm", f"{withdrawn.id} isn't known any more")
    life.front.off(refusal)
    life.publish("3.0.0")
    life.says("confirm", life.company.versions["3.0.0"].id)
    assert life.version == "3.0.0"
