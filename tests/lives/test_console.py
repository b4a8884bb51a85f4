"""The serial console in a whole life: what is typed to the board, and what becomes of it."""

import json
import re

from lives.kit import CRASHES, QUICKLY, SERIAL
from thermokeeper.client.calls import OwnerClient
from thermokeeper.demo.workshop import PRODUCT
from thermokeeper.files import PROJECT
from thermokeeper.formats import factory_record


def ask(life, line):
    """The one answer to a program's line."""
    life.board.type(f"json {line}")
    return json.loads(life.says("answer"))


def result(life, line):
    answer = ask(life, line)
    assert answer["ok"], answer
    return answer["result"]


def error(life, line):
    answer = ask(life, line)
    assert not answer["ok"]
    return answer["error"]


def test_status_tells_a_person_and_a_program_the_same(life):
    life.boots()
    life.says("confirm")
    life.board.type("status")
    life.says("status", f"^serial {SERIAL}$")
    life.says("status", "^nvs_entries [0-9]+ of [0-9]+$")
    told = [line.split(" ", 1) for line in life.said("status")]
    life.board.type("status json")
    answer = json.loads(life.says("answer"))
    assert answer["command"] == "status" and answer["ok"]
    status = answer["result"]
    assert sorted(status) == sorted(name for name, _ in told)
    assert status["serial"] == SERIAL and status["product"] == "thermometer"
    assert status["release"] == "1.0.0" and (status["slot"], status["slot_state"]) == ("ota_0", "valid")
    assert status["network"] == "workshop" and status["address"] == "192.168.4.20"
    assert status["service"] == "gadgetkeeper" and status["server"] == life.front.url
    assert status["thing"] == life.thing.id and status["state"] == "activated"
    assert status["synced_s_ago"] >= 0 and status["uptime_s"] >= 0 and re.fullmatch("[0-9]+ of [0-9]+", status["heap"])
    assert status["idf_memory"] is None or "largest" in status["idf_memory"]
    assert status["started"] == "power-on"
    assert life.stored("cloud")["key"] not in "".join(event.text for event in life.events)


def test_help_lists_the_commands_and_what_is_none_is_refused(life):
    life.boots()
    life.says("identity")
    life.board.type("help")
    life.says("help", "^reset ")
    life.board.type("helo")
    life.says("refused", "no such command; help lists them")
    for line, reason in (
        ("provision", "a word is missing"),
        ("sync now", "too many words"),
        ("provision topsecret", "needs no token"),
        ("activate lamp", "another product"),
        ("reset-credentials", "reset-credentials yes"),
        ("reset later", "reset, or reset now"),
        ('wifi "a', "a quote is missing"),
        ("wifi lab short", "8 to 63 characters"),
        ("wifi forget lab", "no such network"),
        ("x" * 300, "more than 200 characters"),
        ("a\x1b[A", "control characters"),
    ):
        assert reason in error(life, line)
    assert "topsecret" not in "".join(event.text for event in life.events)


def test_sync_looks_at_the_server_at_once(life):
    life.made(sync_s=86_400)
    life.boots()
    life.says("version", "up to date: 1.0.0")
    asked = len(life.front.requests)
    life.publish("2.0.0")
    life.measures(2)
    life.board.type("sync")
    life.says("done", "the server is asked now")
    life.says("update", "to 2.0.0")
    assert len(life.front.requests) > asked


def test_activate_makes_a_new_key_and_forgotten_credentials_are_replaced(life):
    life.boots()
    life.says("confirm")
    thing, first = life.thing.id, life.stored("cloud")["key"]
    assert result(life, "activate") == "activated"
    second = life.stored("cloud")["key"]
    assert second != first
    assert "forgotten" in result(life, "reset-credentials yes")
    life.says("activate", f"done: thing {thing}")
    assert life.stored("cloud")["key"] not in (first, second)
    life.measures(2)
    assert life.thing.id == thing


def test_a_token_that_is_typed_brings_a_board_into_a_dms(life, company):
    life.write("factory", factory_record.pack(SERIAL, PRODUCT, life.front.url, "gecko_dms", plain_http=True))
    life.boots()
    life.says("wait", "no provisioning token")
    assert result(life, "status")["state"] == "no token"
    assert "token" in error(life, "provision not-a-token")
    token = company.vendor.create_dms_token().token
    life.world.wifi(False)
    life.says("wifi", "lost")
    assert "the token is kept" in error(life, f"provision {token}")
    life.world.wifi(True)
    life.says("provision", "done: device")
    uuid = result(life, "status")["uuid"]
    owner = company.vendor.create_owner("ada")
    company.vendor.grant_access("ada", PRODUCT)
    with OwnerClient(company.server.url, owner.token) as client:
        client.claim_device(uuid)
    assert result(life, f"activate {PRODUCT}") == "activated"
    life.says("version", "up to date: 1.0.0")
    assert "as before" in result(life, "provision another-token")
    status = result(life, "status")
    assert status["state"] == "activated" and status["product"] == PRODUCT
    assert "forgotten" in result(life, "reset-credentials yes")
    life.says("wait", "no provisioning token")
    assert token not in "".join(event.text for event in life.events)


def test_networks_are_listed_stored_and_forgotten(life):
    life.write("nvs", b"\xff" * 0x4000)
    life.write("data", b"\xff" * 0x2000)  # their second copy
    life.world.update(networks=[{"ssid": "lab 2", "key": 'say "hi" \\o/'}, {"ssid": "cafe", "key": None, "up": False}])
    life.boots()
    life.says("wifi", "no usable network is stored")
    assert result(life, "wifi") == {"networks": []}
    assert result(life, "wifi cafe") == "cafe is stored as an open network; stored: 1"
    assert result(life, r'wifi "lab 2" "say \"hi\" \\o/"') == "lab 2 is stored; stored: 2"
    life.says("wifi", "on lab 2")
    life.says("confirm")
    assert result(life, "wifi") == {"networks": ["cafe", "lab 2"]}
    assert result(life, 'wifi forget "lab 2"') == "lab 2 is forgotten; stored: 1"
    assert life.stored("networks", "wifi") == [{"ssid": "cafe", "key": ""}]
    life.world.update(networks=[{"ssid": "cafe", "key": None}])
    life.says("wifi", "lost lab 2")
    life.says("wifi", "on cafe")
    assert "say" not in "".join(event.text for event in life.events)


def test_no_more_networks_are_stored_than_fit(life):
    life.boots()
    life.says("identity")
    for number in range(7):
        result(life, f"wifi net{number} 12345678")
    assert "the limit" in error(life, "wifi one-more 12345678")
    assert result(life, "wifi net3 87654321") == "net3 is stored; stored: 8"
    assert "1 to 32 bytes" in error(life, f'wifi "{"x" * 33}"')


def test_a_board_without_an_identity_can_be_asked(life):
    life.write("factory", b"\xff" * 4096)
    life.boots()
    life.says("identity", "no factory record")
    status = result(life, "status")
    assert status["serial"] is None and status["release"] == "1.0.0" and status["slot"] == "ota_0"
    assert result(life, "wifi lab celsius-scale") == "lab is stored; stored: 2"
    for line in ("sync", "activate", "provision topsecret", "reset-credentials yes"):
        assert "no identity" in error(life, line)


def test_safe_mode_can_be_asked(company, new_life):
    bad = company.foundry.release("1.1.0", company.runtime.source, CRASHES)
    life = new_life().made(bad)
    life.boots()
    life.says("safe", within_s=60)
    assert result(life, "status")["release"] == "1.1.0"
    assert result(life, "wifi") == {"networks": ["workshop"]}


def test_reset_delivers_the_readings_and_restarts(life):
    life.boots()
    life.says("confirm")
    life.measures(2)
    assert result(life, "reset") == "the board restarts"
    life.suffers("reset")
    life.says("wifi", "on workshop")  # what was never joined can't be lost: the first reading comes before it
    life.measures(1)
    count = life.happened("boot")
    life.world.wifi(False)
    life.says("wifi", "lost")
    life.measures(2)
    assert "to lose them: reset now" in error(life, "reset")
    assert result(life, "reset now") == "the board restarts"
    life.suffers("boot")
    assert life.happened("boot") == count + 1


@QUICKLY
def test_a_flood_of_garbage_leaves_no_gap_in_the_readings(life):
    life.boots()
    life.says("confirm")
    life.measures(2)
    noise = "".join(chr(number % 95 + 32) for number in range(2000)) + "\x00\x1b\r\n" * 200 + "\xff" * 500
    for _ in range(6):
        life.board.type(noise)
        life.says("refused", "more than 200 characters")
    life.measures(1)
    assert result(life, "status")["release"] == "1.0.0"
    life.says("reading")
    life.off()
    assert max(life.gaps_s()) < 2 * life.runtime.period_s


def test_the_document_has_the_commands_and_the_members_of_the_status(life):
    text = (PROJECT / "docs/console.md").read_text(encoding="utf-8").replace(r"\|", "/")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = {word for row in rows for word in re.findall(r"`([^`]+)`", row)}
    life.boots()
    life.says("identity")
    said = {name: text.partition(": ") for name, text in result(life, "help").items()}
    commands = {f"{name} {arguments}" if colon else name for name, (arguments, colon, _) in said.items()}
    assert named == {command.replace("|", "/") for command in commands} | set(result(life, "status"))
