"""What the field does to a board: weeks without a network, a radio that lies, an NVS that is gone, portals, brownouts.

Whatever it is, the end is a board that measures, reports and can be updated, without hands.
"""

import re

import pytest

from lives.front import status
from lives.kit import CPYTHON, FOR_HOURS, MICROPYTHON, Life

HOUR = 120  # readings of a product that is sold
DAY = 24 * HOUR
STRONG = {"ssid": "strong", "key": "password1", "rssi": -40}
WEAK = {"ssid": "weak", "key": "password2", "rssi": -75}
PORTAL = b"<html><body>Welcome! Log in to this network.</body></html>" * 200


def goes_on(life: Life, version: str = "9.0.0") -> None:
    """The board measures, reports, and takes an update."""
    life.publish(version)
    life.says("slot", f"{version}, on trial")
    life.says("confirm", life.company.versions[version].id)
    delivered = len(life.readings())
    life.measures(2)
    while len(life.readings()) < delivered + 2:
        life.measures(1)
    assert life.version == version


# networks


@FOR_HOURS
def test_a_network_that_leads_nowhere_is_left_for_the_next_and_joined_anew(life):
    life.world.update(networks=[STRONG, WEAK])
    life.knows_networks(("strong", "password1"), ("weak", "password2"))
    life.front.down()
    life.boots()
    life.says("wifi", "on strong")
    life.says("wifi", "leaves strong: it leads nowhere")
    life.says("wifi", "on weak")
    life.says("wifi", "leaves weak")
    life.says("wifi", "on strong")
    life.front.up()
    goes_on(life)


@FOR_HOURS
def test_the_only_network_that_leads_nowhere_is_joined_anew_more_and_more_rarely(life):
    life.boots()
    life.says("confirm")
    life.front.down()
    life.measures(5 * HOUR)
    left = [line for line in life.said("wifi") if "leads nowhere" in line]
    assert 3 <= len(left) <= 10
    life.front.up()
    goes_on(life)


@FOR_HOURS
def test_a_portal_that_says_200_to_everything_costs_nothing_but_time(life):
    life.boots()
    life.says("confirm")
    rule = life.front.on(".*", status(200, {"Content-Type": "text/html"}, PORTAL))
    life.measures(8 * HOUR)
    life.front.off(rule)
    goes_on(life)
    assert life.thing.activation_count == 1


@FOR_HOURS
def test_an_address_that_is_lost_is_noticed_and_the_network_joined_anew(life):
    life.boots()
    life.says("confirm")
    networks = life.world.settings["networks"]
    life.world.update(networks=[{**networks[0], "no_address": True}])
    life.says("wifi", "has no address any more")
    life.world.update(networks=networks)
    life.says("wifi", "on workshop")
    goes_on(life)


@FOR_HOURS
def test_of_two_access_points_of_one_name_the_one_that_answers_is_found(life):
    near = {"ssid": "workshop", "key": "thermometer", "rssi": -30, "bssid": "020000000007", "dead": True}
    life.world.update(networks=[near, {**near, "rssi": -70, "bssid": "020000000008", "dead": False}])
    life.boots()
    life.says("wifi", "on workshop")
    life.says("confirm")


@pytest.mark.whole
@FOR_HOURS
def test_a_board_that_was_offline_for_a_week_is_back_at_once(life):
    life.boots()
    life.says("confirm")
    life.world.wifi(False)
    life.measures(7 * DAY, within_s=400)
    life.world.wifi(True)
    life.says("wifi", "on workshop")
    taken = len(life.said("reading"))
    life.says("version", "up to date")
    assert len(life.said("reading")) - taken < HOUR, "no due time lies in the future for days"
    delivered = len(life.readings())
    life.measures(5)
    assert len(life.readings()) > delivered
    goes_on(life)


@FOR_HOURS
def test_a_server_that_is_away_for_hours_leads_to_another_radio_and_then_to_a_restart_that_keeps_readings(life):
    life.boots()
    life.says("confirm")
    life.front.down()
    life.says("wifi", "the radio is switched off and on")
    life.says("restart", "the server wasn't reached for 6 h")
    kept = life.says("readings", "are kept over the restart")
    life.suffers("reset")
    assert life.says("readings", "were kept").split()[0] == kept.split()[0]
    life.front.up()
    life.says("version", "up to date")
    count = int(kept.split()[0])
    life.measures(20)
    times = [point.at for point in life.readings()]
    assert len(times) == len(set(times)) >= count, "each of them once"
    assert not life.said("safe"), "it is no crash"
    goes_on(life)


# what a board keeps


@FOR_HOURS
@pytest.mark.parametrize("lost", ["erased", "no free page", "another format"])
def test_an_nvs_that_is_lost_takes_no_networks_along(life, lost):
    life.boots()
    life.says("confirm")
    life.off()
    page = life.read("nvs")[:4096]
    damaged = {"erased": b"\xff" * 4096, "no free page": page, "another format": page[:8] + b"\x00" + page[9:]}[lost]
    life.write("nvs", damaged * 4)
    life.boots()
    life.says("wifi", "taken from their copy")
    life.says("activate", "done")
    goes_on(life)
    life.off()
    life.boots()
    life.says("wifi", "on workshop")
    assert len([line for line in life.said("wifi") if "copy" in line]) == 1, "they are in NVS again"


@FOR_HOURS
def test_a_network_that_was_forgotten_is_in_no_copy(life):
    life.boots()
    life.says("confirm")
    life.board.type("wifi forget workshop")
    life.says("done", "workshop is forgotten")
    life.off()
    life.write("nvs", b"\xff" * 0x4000)
    life.boots()
    life.says("wifi", "no usable network is stored")


@FOR_HOURS
def test_brownouts_one_after_the_other_are_no_crash_loop(life):
    """RTC memory outlives a brownout, and MicroPython calls it a power-on."""
    life.boots()
    life.says("confirm")
    life.off()
    for number in range(8):
        life.world.brownout(len(life.board.operations) + number, "before")
    life.write("nvs", b"\xff" * 0x4000)  # so that there is something to write at each start
    life.boots()
    life.says("activate", "done")
    assert not life.said("safe") and life.happened("brownout") >= 3
    goes_on(life)


# what a server sends


@pytest.mark.parametrize("runtime", [CPYTHON], ids=["cpython"], indirect=True)
def test_a_maintenance_page_in_place_of_the_firmware_is_no_fault_of_the_release(life):
    life.boots()
    life.says("confirm")
    life.front.on(r"GET .*/firmware.bin", status(200, {"Content-Type": "text/html"}, PORTAL), times=3)
    life.publish("2.0.0")
    life.says("slot", "2.0.0, on trial")


@pytest.mark.parametrize("runtime", [MICROPYTHON], ids=["micropython"], indirect=True)  # sources leave no room
@pytest.mark.parametrize("kind", ["weak", "none", "last modified"])
def test_a_download_is_resumed_whatever_the_server_says_of_its_identity(company, new_life, kind):
    def reply(exchange):
        head, _, body = exchange.answer_of_server().partition(b"\r\n\r\n")
        if kind == "weak":
            head = re.sub(rb"(?im)^etag: ", b"ETag: W/", head)
        else:
            head = re.sub(rb"(?im)\r\netag: [^\r]*", b"", head)
            head += b"\r\nLast-Modified: Sat, 21 Nov 2026 20:13:18 GMT" if kind == "last modified" else b""
        exchange.send(head + b"\r\n\r\n" + body[:300_000])

    company.publish("1.0.0")
    life = new_life().made()
    life.front.on(r"GET .*/firmware.bin", reply)
    life.boots()
    life.says("confirm")
    life.publish("2.0.0", size=800_000)
    life.says("download", "goes on at")
    life.says("slot", "2.0.0, on trial")
