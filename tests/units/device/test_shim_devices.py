"""Sensor, Wi-Fi, clock, watchdog and resets of the simulated board."""

import machine
import network
import onewire
from ds18x20 import DS18X20
from machine import Pin

from support import raises
from support_flash import Ended, board


def _sensor(sim, **settings):
    sim.settings["sensor"] = settings
    onewire._sensor.power_cycle()
    return DS18X20(onewire.OneWire(Pin(4)))


def _converted(sim, bus):
    """The temperature after a whole conversion, without the waiting."""
    bus.convert_temp()
    sim.skipped_ms += 750
    return bus.read_temp(bus.scan()[0])


def test_a_temperature_takes_750_ms_and_the_former_value_stays_till_then():
    with board() as sim:
        bus = _sensor(sim, temperature_c=-10.125)
        rom = bus.scan()[0]
        assert bus.read_temp(rom) == 85.0
        assert bytes(bus.read_scratch(rom)) == b"\x50\x05\x4b\x46\x7f\xff\x0c\x10\x1c"
        bus.convert_temp()
        sim.skipped_ms += 700
        assert bus.read_temp(rom) == 85.0
        sim.skipped_ms += 50
        assert bus.read_temp(rom) == -10.125
        sim.settings["sensor"]["temperature_c"] = 30
        assert bus.read_temp(rom) == -10.125
        assert _converted(sim, bus) == 30.0


def test_a_measured_85_differs_from_the_power_on_value():
    with board() as sim:
        bus = _sensor(sim, temperature_c=85.0)
        assert _converted(sim, bus) == 85.0
        assert bus.buf[6] == 0x10


def test_alarm_bytes_last_until_the_sensor_loses_power():
    with board() as sim:
        bus = _sensor(sim)
        rom = bus.scan()[0]
        bus.write_scratch(rom, b"\xa5\x5a\x7f")
        _converted(sim, bus)
        assert bytes(bus.read_scratch(rom)[2:5]) == b"\xa5\x5a\x7f"
        sim.settings["sensor"]["fault"] = "power_on"
        assert bytes(bus.read_scratch(rom)[2:5]) == b"\x4b\x46\x7f"
        assert _converted(sim, bus) == 85.0


def test_sensor_faults_look_as_they_do_on_the_wire():
    with board() as sim:
        bus = _sensor(sim)
        rom = bus.scan()[0]
        sim.settings["sensor"]["fault"] = "crc"
        with raises(Exception, "CRC error"):
            bus.read_temp(rom)
        sim.settings["sensor"]["fault"] = "missing"
        assert bus.scan() == []
        for call in (bus.convert_temp, lambda: bus.read_temp(rom)):
            with raises(onewire.OneWireError):
                call()
        sim.settings["sensor"]["fault"] = "short"
        assert bus.read_temp(rom) == 0.0
        assert bus.ow.readbit() == 0
        sim.settings["sensor"]["fault"] = "silent"
        with raises(Exception, "CRC error"):
            bus.read_temp(rom)
        sim.settings["sensor"]["fault"] = None
        assert bus.read_temp(rom) == 85.0


def test_another_address_gets_no_answer():
    with board() as sim:
        bus = _sensor(sim)
        with raises(Exception, "CRC error"):
            bus.read_temp(b"\x28\x00\x00\x00\x00\x00\x00\x00")


def test_only_each_nth_reading_goes_wrong():
    with board() as sim:
        bus = _sensor(sim, fault="crc", fault_every=3)
        rom = bus.scan()[0]
        wrong = 0
        for _ in range(9):
            try:
                bus.read_temp(rom)
            except Exception as error:
                assert str(error) == "CRC error"
                wrong += 1
        assert wrong == 3


_HOME = {"ssid": "home", "key": "secret", "rssi": -50}
_CAFE = {"ssid": "cafe", "key": None, "rssi": -40}


def _station(sim, *networks):
    sim.settings.update({"networks": list(networks), "join_ms": 100, "scan_ms": 0})
    wlan = network.WLAN(network.STA_IF)
    wlan.active(False)
    wlan.active(True)
    return wlan


def _after_joining(sim, wlan, *arguments):
    wlan.connect(*arguments)
    sim.skipped_ms += 150
    return wlan.status()


def test_networks_are_scanned_strongest_first():
    with board() as sim:
        wlan = _station(sim, _HOME, _CAFE)
        assert [(row[0], row[3], row[4]) for row in wlan.scan()] == [(b"cafe", -40, 0), (b"home", -50, 3)]


def test_an_inactive_station_refuses():
    with board() as sim:
        wlan = _station(sim, _HOME)
        wlan.active(False)
        for call in (wlan.scan, lambda: wlan.connect("home", "secret"), wlan.disconnect):
            with raises(OSError, "Not Started"):
                call()
        assert not wlan.isconnected()


def test_joining_takes_its_time_and_gives_an_address():
    with board() as sim:
        wlan = _station(sim, _HOME)
        wlan.connect("home", "secret")
        assert wlan.status() == network.STAT_CONNECTING
        assert wlan.ifconfig()[0] == "0.0.0.0"
        sim.skipped_ms += 150
        assert wlan.isconnected() and wlan.status() == network.STAT_GOT_IP
        assert wlan.ifconfig()[0] != "0.0.0.0"
        assert wlan.status("rssi") == -50


def test_open_networks_are_joined_without_a_key():
    with board() as sim:
        wlan = _station(sim, _CAFE)
        assert _after_joining(sim, wlan, "cafe") == network.STAT_GOT_IP
        assert _after_joining(sim, wlan, "cafe", "") == network.STAT_GOT_IP
        assert _after_joining(sim, wlan, "cafe", "key") == network.STAT_NO_AP_FOUND


def test_wrong_keys_and_absent_networks_are_told_apart():
    with board() as sim:
        wlan = _station(sim, _HOME)
        assert _after_joining(sim, wlan, "home", "wrong") == network.STAT_WRONG_PASSWORD
        assert _after_joining(sim, wlan, "elsewhere", "x") == network.STAT_NO_AP_FOUND
        wlan.disconnect()


def test_the_reason_of_a_failure_stays_until_there_is_an_address():
    """network_wlan.c: connect() doesn't clear it, and some reasons are told before "connecting"."""
    with board() as sim:
        wlan = _station(sim, _HOME)
        _after_joining(sim, wlan, "elsewhere", "x")
        wlan.disconnect()
        assert wlan.status() == network.STAT_NO_AP_FOUND
        wlan.connect("home", "secret")
        assert wlan.status() == network.STAT_NO_AP_FOUND and not wlan.isconnected()
        sim.skipped_ms += 150
        assert wlan.isconnected() and wlan.status() == network.STAT_GOT_IP
        wlan.disconnect()
        assert wlan.status() == network.STAT_IDLE


def test_an_address_that_is_lost_goes_unnoticed():
    with board() as sim:
        wlan = _station(sim, _HOME)
        _after_joining(sim, wlan, "home", "secret")
        sim.settings["networks"] = [dict(_HOME, no_address=True)]
        assert wlan.isconnected() and wlan.ifconfig()[0] == "0.0.0.0" and not network.linked()


def test_one_of_several_access_points_can_be_chosen_and_none_is_found_while_joining():
    with board() as sim:
        near = dict(_HOME, rssi=-40, bssid="020000000007", dead=True)
        wlan = _station(sim, _HOME, near)
        assert len(wlan.scan()) == 2
        assert _after_joining(sim, wlan, "home", "secret") == network.STAT_CONNECTING
        assert wlan.scan() == []
        wlan.disconnect()
        wlan.connect("home", "secret", bssid=b"\x02\0\0\0\0\x01")
        sim.skipped_ms += 150
        assert wlan.isconnected()


def test_the_time_server_answers_as_the_world_has_it():
    import _simsocket

    with board() as sim:
        sim.virtual = True
        wlan = _station(sim, _HOME)
        _after_joining(sim, wlan, "home", "secret")
        expected = {
            "ok": (0, 2),
            "unsynchronized": (3, 2),
            "refuses": (0, 0),
            "stratum 16": (0, 16),
            "10.0.0.1": (0, 2),
        }
        for kind in list(expected) + ["off", "10.0.0.2"]:
            sim.settings["ntp"] = kind
            address = _simsocket.getaddrinfo("10.0.0.1", 123, 0, _simsocket.SOCK_DGRAM)[0][-1]
            asked = _simsocket.socket(_simsocket.AF_INET, _simsocket.SOCK_DGRAM)
            asked.settimeout(1)
            asked.sendto(b"\x1b" + bytes(39) + b"question", address)
            if kind in expected:
                answer = asked.recv(48)
                assert (answer[0] >> 6, answer[1]) == expected[kind] and answer[24:32] == b"question"
            else:
                with raises(OSError):
                    asked.recv(48)
            asked.close()


def test_a_network_that_goes_is_lost_and_found_again():
    with board() as sim:
        wlan = _station(sim, _HOME)
        _after_joining(sim, wlan, "home", "secret")
        sim.settings["networks"] = [{"ssid": "home", "key": "secret", "up": False}]
        assert not wlan.isconnected()
        sim.settings["networks"] = [_HOME]
        assert not wlan.isconnected()
        sim.skipped_ms += 150
        assert wlan.isconnected()


def test_without_a_network_no_name_resolves():
    import _simsocket

    with board() as sim:
        wlan = _station(sim, _HOME)
        with raises(OSError):
            _simsocket.getaddrinfo("127.0.0.1", 80)
        _after_joining(sim, wlan, "home", "secret")
        assert _simsocket.getaddrinfo("127.0.0.1", 80)


def test_gmtime_takes_no_more_than_32_bits_of_seconds():
    import _simtime

    with board():
        assert _simtime.gmtime(0x7FFFFFFF)[:3] == (2068, 1, 19)
        for seconds in (0x80000000, -0x80000001):
            with raises(OverflowError):
                _simtime.gmtime(seconds)


def test_the_clock_starts_in_2000_and_is_set_by_the_time_server():
    import _simtime
    import ntptime

    with board() as sim:
        assert _simtime.gmtime()[:3] == (2000, 1, 1)
        assert _simtime.time() < 60
        wlan = _station(sim, _HOME)
        with raises(OSError):
            ntptime.settime()
        _after_joining(sim, wlan, "home", "secret")
        ntptime.settime()
        assert _simtime.gmtime()[0] >= 2025
        assert machine.RTC().datetime()[0] >= 2025
        assert any(line.startswith("clock ") for line in sim.told)
        sim.settings["ntp"] = "off"
        sim.virtual = True
        with raises(OSError):
            ntptime.settime()


def test_time_counts_from_2000_and_back():
    import _simtime

    with board():
        assert _simtime.gmtime(0) == (2000, 1, 1, 0, 0, 0, 5, 1)
        assert _simtime.mktime(_simtime.gmtime(848448000)) == 848448000
        machine.RTC().datetime((2026, 11, 21, 0, 20, 13, 18, 0))
        assert _simtime.gmtime()[:6] == (2026, 11, 21, 20, 13, 18)
        assert _simtime.ticks_diff(_simtime.ticks_add(5, -7), 5) == -7


def test_an_unfed_watchdog_ends_the_life():
    with board() as sim:
        sim.virtual = sim.judge = True
        wdt = machine.WDT(timeout=1000)
        for _ in range(5):
            sim.wait_ms(900)
            wdt.feed()
        with raises(Ended, "watchdog"):
            sim.wait_ms(5000)
        with raises(ValueError):
            machine.WDT(timeout=0)


def test_resets_say_what_they_are():
    for call, text in (
        (machine.reset, "reset"),
        (machine.soft_reset, "soft reset"),
        (lambda: machine.deepsleep(250), "deepsleep 250"),
    ):
        with board():
            with raises(Ended, text):
                call()


def test_rtc_memory_is_handed_to_the_next_life():
    with board() as sim:
        machine.RTC().memory(b"\x01state")
        assert machine.RTC().memory() == b"\x01state"
        assert sim.told[-1] == "rtc 017374617465"
        with raises(ValueError):
            machine.RTC().memory(b"x" * 2049)
