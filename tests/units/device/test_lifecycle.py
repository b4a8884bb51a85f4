"""Whole lives of a device: bare to registered, release to release, and back, with the power cut at every write."""

import esp32

from fake_device import Device, cut_before_the_switch, kept_loaded
from fake_flash import ABORTED, NEW, PENDING, SLOTS, VALID, fill_nvs, otadata, slot_content
from fakes import Service
from images import application
from keeper.board.slots import Slots
from keeper.errors import CloudError, NetError
from releases import KEYS, header, manifest
from support import cuts
from support_flash import Ended

HEAP_KIB = 1024  # two releases of 20 KB, in memory and on their way

APP_1, FS_1 = application(4500, fill=1), b"one." * 1024
APP_2, FS_2 = application(7000, fill=2), b"two." * 1024
HEADER_1 = header(manifest(APP_1, FS_1, version="1.0.0"))
HEADER_2 = header(manifest(APP_2, FS_2, version="2.0.0"))
APP_3, FS_3 = application(5500, fill=3), b"3333" * 1024
FILE_3 = header(manifest(APP_3, FS_3, version="3.0.0")) + APP_3 + FS_3
FILE_1, FILE_2 = HEADER_1 + APP_1 + FS_1, HEADER_2 + APP_2 + FS_2
SLOT_1, SLOT_2 = slot_content(APP_1, HEADER_1, FS_1), slot_content(APP_2, HEADER_2, FS_2)

BARE = [("ota_0", SLOT_1)] + otadata((1, VALID))


# the header, which is decided on; the parts; the header once more, now to be written
DOWNLOAD = ["open_release"] * 3


def _digest(head):
    from keeper.release import digest

    return digest(head)


def _device(service, parts=BARE, **changes):
    return Device(service, KEYS, parts, **changes)


def _settle(device, lives=6):
    """Live on until nothing ends a life any more."""
    for _ in range(lives):
        if device.live() == "alive":
            return
    raise AssertionError("the device doesn't come to rest")


def _registered(service, version_id="v1", firmware=FILE_1):
    """A service that knows a device which runs that version."""
    service.publish(version_id, firmware)
    return service


def _running_v1():
    """A service that knows what runs: v1, which is its target, too."""
    service = _registered(Service())
    service.current_id = "v1"
    return service


def _begin_trial_of_v2(device):
    """Live until v2 is installed: the next life is its trial."""
    device.live(1)
    device.service.publish("v2", FILE_2)
    assert device.live(1) == "reset"


def _is_on(device, version_id, slot, label):
    """Everything agrees that the device runs this version."""
    assert device.label == label
    assert device.slot(label, len(slot)) == slot
    slots = Slots()
    assert slots.state(slots.running) == VALID
    assert device.service.current_id == version_id
    record = device.record("release")
    assert record["id"] == version_id
    assert not record.get("next")
    assert device.record("cloud")["key"] == device.service.key


# the order of the seed's calls


def test_without_a_version_id_the_server_is_asked_and_equal_ids_need_no_download():
    service = _running_v1()
    with _device(service) as device:
        assert device.live(1) == "alive"
        assert device.calls() == ["activate", "target", "current", "rename"]
        assert device.record("release")["id"] == "v1"


def test_with_the_version_id_in_nvs_the_server_is_not_asked():
    service = _running_v1()
    with _device(service) as device:
        device.live(1)
        device.calls()
        device.live(2)
        assert device.calls() == ["target", "target"]


def test_an_id_that_older_firmware_stored_is_enough():
    service = _registered(Service())
    service.activate(service.serial)
    with _device(service) as device:
        for name, value in (("apiKey", service.key), ("thingId", service.thing), ("versionId", "v1")):
            esp32.NVS("keeper").set_blob(name, value.encode())
        device.live(1)
        assert device.calls() == ["target"]


def test_where_no_version_is_known_the_target_is_downloaded_at_once():
    service = _registered(Service(), "v2", FILE_2)
    with _device(service) as device:
        assert device.live(1) == "reset"
        assert device.calls() == ["activate", "target", "current"] + DOWNLOAD
        assert service.current_id is None, "nothing is confirmed before it runs"
        assert device.live(1) == "alive"
        assert device.calls() == ["target", "open_release", "confirm", "rename"]
        _is_on(device, "v2", SLOT_2, "ota_1")
        assert device.resets == 1
        assert service.opened[0].closed


def test_another_target_than_the_one_in_nvs_is_downloaded():
    service = _running_v1()
    with _device(service) as device:
        device.live(1)
        service.publish("v2", FILE_2)
        device.calls()
        assert device.live(1) == "reset"
        assert device.calls() == ["target"] + DOWNLOAD
        device.live(1)
        assert device.calls() == ["target", "open_release", "confirm"]
        _is_on(device, "v2", SLOT_2, "ota_1")
        service.target_id = "v1"
        assert device.live(1) == "reset", "and back again, where the vendor wants that"
        assert device.live(1) == "alive"
        _is_on(device, "v1", SLOT_1, "ota_0")


def test_a_target_whose_release_runs_already_is_confirmed_without_a_download():
    service = Service()
    service.publish("v1", FILE_1, _digest(HEADER_1))
    with _device(service) as device:
        operations = _erases(device, 1)
        assert device.calls() == ["activate", "target", "current", "confirm", "rename"]
        assert operations == 0
        _is_on(device, "v1", SLOT_1, "ota_0")


def test_a_target_that_turns_out_to_be_the_running_release_is_confirmed_after_its_header():
    service = _registered(Service())
    with _device(service) as device:
        assert _erases(device, 2) == 0
        assert device.calls() == ["activate", "target", "current", "open_release", "confirm", "target", "rename"]
        assert service.opened[0].position == 4096
        assert service.opened[0].closed
        _is_on(device, "v1", SLOT_1, "ota_0")


def _erases(device, turns):
    """Live for some turns; how many blocks of the slots were erased."""
    assert device.live(turns) == "alive"
    erased = [line.split() for line in device.told if line.startswith("op erase")]
    return len([address for _, _, address in erased if 0x10000 <= int(address) < 0x30000])


def test_the_server_s_word_is_not_believed_against_the_release_that_runs():
    service = Service()
    service.publish("v2", FILE_2, _digest(HEADER_2))
    service.current_id = "v2"
    with _device(service) as device:
        assert device.live(1) == "reset"
        assert device.live(1) == "alive"
        _is_on(device, "v2", SLOT_2, "ota_1")


def test_without_a_target_the_device_stays_and_asks_again():
    service = Service()
    with _device(service) as device:
        assert device.live(3) == "alive"
        assert device.calls() == ["activate", "target", "rename", "target", "target"]
        service.publish("v2", FILE_2)
        _settle(device)
        _is_on(device, "v2", SLOT_2, "ota_1")


def test_between_two_turns_nothing_is_asked_before_it_is_due():
    service = _running_v1()
    with _device(service) as device:
        device.live(1, 0)
        device.calls()
        device.turn(10, 89_999)
        assert device.calls() == []
        device.turn(2, 89_999)
        assert device.calls() == ["target"]


def test_a_look_at_the_server_can_be_asked_for_before_it_is_due():
    service = _running_v1()
    with _device(service) as device:
        device.live(0)
        assert device.lifecycle.last_sync_ms is None
        device.turn(1, 5_000)
        first_ms = device.lifecycle.last_sync_ms
        service.trouble("target", NetError("no answer"))
        device.calls()
        device.lifecycle.sync_now()
        device.turn(1, 0)
        assert device.calls() == ["target"]
        assert device.lifecycle.last_sync_ms == first_ms, "it didn't go well"
        device.lifecycle.sync_now()
        device.turn(1, 0)
        assert device.calls() == ["target"], "whatever pause there was to be"
        assert device.clock.ticks_diff(device.lifecycle.last_sync_ms, first_ms) == 5_000


# refusals and trouble


def test_a_release_that_is_refused_leaves_the_other_slot_alone():
    other = [("ota_1", SLOT_2)]
    for bad in (b"no release" * 500, FILE_2[:2000], HEADER_2[:100] + b"\xff" + HEADER_2[101:] + APP_2 + FS_2):
        service = Service()
        service.publish("bad", bad)
        with _device(service, BARE + other) as device:
            assert _erases(device, 3) == 0
            assert device.slot("ota_1", len(SLOT_2)) == SLOT_2
            assert all(stream.closed for stream in service.opened)
            assert len(service.opened) == 3
            assert device.resets == 0
            service.publish("v1", FILE_1)
            device.turn()
            assert service.current_id == "v1", "it isn't stuck with the bad one"


def test_a_refusal_is_told_once_the_version_is_held_back():
    """Whatever is refused: the wrong signature on the header, or a part that isn't what the manifest says."""
    damaged = HEADER_2[:3800] + bytes([HEADER_2[3800] ^ 1]) + HEADER_2[3801:] + APP_2 + FS_2
    for bad, why in ((damaged, "signature is wrong"), (FILE_2[:-9] + bytes(9), "part fs isn't what the manifest says")):
        service = _running_v1()
        with _device(service) as device:
            device.live(1)
            service.publish("bad", bad)
            device.calls()
            device.turn(3)
            assert "failed" not in device.calls() and service.failures == []
            device.turn(1)
            ((version_id, version, told),) = service.failures
            assert (version_id, version) == ("bad", "version bad") and why in told, told
            device.turn(3)
            assert len(service.failures) == 1, "told once"
            device.clock.pass_ms(6 * 3_600_000)
            device.turn(4)
            assert len(service.failures) == 2, "tried again, refused again"


def test_a_refusal_that_could_not_be_told_is_told_later_and_stands_before_no_update():
    service = _running_v1()
    with _device(service) as device:
        device.live(1)
        service.publish("bad", HEADER_2[:100] + b"\xff" + HEADER_2[101:] + APP_2 + FS_2)
        device.turn(3)
        service.trouble("failed", NetError("the answer is lost"), after=True)
        device.turn(1)
        device.turn(1)
        assert [one[0] for one in service.failures] == ["bad", "bad"]
        device.turn(1)
        assert len(service.failures) == 2
        device.clock.pass_ms(6 * 3_600_000)
        device.turn(3)
        service.publish("v2", FILE_2)
        device.calls()
        assert device.live(0) == "alive"  # a restart: what was refused is forgotten with it
        assert device.live(1) == "reset" and "failed" not in device.calls()


def test_a_download_that_breaks_off_is_begun_again():
    service = _registered(Service(), "v2", FILE_2)
    service.short_by = 3000
    with _device(service) as device:
        assert device.live(2) == "alive"
        assert len(service.opened) == 4, "the header, then what is behind it"
        assert all(stream.closed for stream in service.opened)
        service.short_by = 0
        _settle(device)
        _is_on(device, "v2", SLOT_2, "ota_1")


def test_a_download_that_breaks_off_goes_on_where_it_stood_if_the_server_can():
    whole = 4096 + len(APP_2)
    for got, goes_on_at in ((4096 + 5000, 8192), (whole - 1, 8192), (whole, whole), (whole + 3000, whole)):
        service = _registered(Service(), "v2", FILE_2)
        service.resumable = True
        service.short_by = len(FILE_2) - got
        with _device(service) as device:
            assert device.live(1) == "alive"
            service.short_by = 0
            del service.opened[:]
            assert device.live(1) == "reset"
            assert [stream.offset for stream in service.opened] == [0, goes_on_at, 0], "header, what is missing, header"
            _settle(device)
            _is_on(device, "v2", SLOT_2, "ota_1")


def test_a_release_that_is_complete_in_the_other_slot_is_not_downloaded_again():
    service = _registered(Service(), "v2", FILE_2)
    with _device(service) as device:
        with cut_before_the_switch():
            assert device.live(1) == "cut"
        device.calls()
        assert device.live(1) == "reset"
        assert service.opened[-1].position == 4096
        _settle(device)
        _is_on(device, "v2", SLOT_2, "ota_1")


def _waits(device, count):
    """Milliseconds between the next calls for a target, to 100 ms."""
    found = []
    for _ in range(count):
        waited = 0
        device.calls()
        while not device.service.calls:
            device.clock.pass_ms(100)
            waited += 100
            device.lifecycle.step()
        found.append(waited)
    return found


def test_trouble_is_met_with_longer_and_longer_waits_and_success_ends_them():
    service = _running_v1()
    with _device(service) as device:
        device.live(1)
        service.trouble("target", NetError("no answer"), times=14)
        device.turn(1, 0)
        assert device.calls()[-1] == "target"
        waits = _waits(device, 13)
        top_ms = 2_000
        for waited in waits:
            assert top_ms / 2 - 100 <= waited <= top_ms + 100, waits
            top_ms = min(top_ms * 2, 900_000)
        assert waits[-1] >= 450_000
        _waits(device, 1)  # this one succeeds
        service.trouble("target", NetError("no answer"))
        assert _waits(device, 2)[1] <= 2_100


def test_a_server_that_asks_for_a_wait_gets_it():
    service = _registered(Service())
    error = CloudError(429, "", "too many")
    error.retry_after_ms = 60_000
    service.trouble("activate", error)
    with _device(service) as device:
        device.live(1, 0)
        assert 60_000 <= _waits(device, 1)[0] <= 61_100


def test_a_dropped_key_is_replaced_at_once_and_once():
    service = _running_v1()
    with _device(service) as device:
        device.live(1)
        service.activate(service.serial)
        device.calls()
        device.turn(2, 0)
        assert device.calls() == ["target", "activate", "target"]
        device.turn(1, 0)
        assert device.calls() == []


def test_a_server_that_refuses_every_key_isn_t_flooded_with_activations():
    service = _registered(Service())
    with _device(service) as device:
        service.trouble("target", CloudError(401, "", "key wrong"), times=1000)
        device.live(0)
        for _ in range(600):
            device.lifecycle.step()
            device.clock.pass_ms(1000)
        assert device.calls().count("activate") <= 12, "ten minutes"


def test_unknown_serials_go_on_asking_politely():
    service = _registered(Service("OTHER"))
    with _device(service) as device:
        assert device.live(5) == "alive"
        assert device.calls() == ["activate"] * 5
        assert not device.activation.active()
        service.serial = device.identity.serial
        service.current_id = "v1"
        device.turn()
        assert device.activation.active()


def test_a_full_nvs_neither_stops_the_device_nor_lets_it_update():
    service = _registered(Service(), "v2", FILE_2)
    with _device(service) as device:
        fill_nvs()
        assert device.live(3) == "alive"
        assert device.calls() == ["activate"] * 3
        assert device.resets == 0


# readings


def test_readings_wait_for_the_activation_and_tell_of_a_dropped_key():
    service = _running_v1()
    with _device(service) as device:
        device.live(0)
        assert not device.lifecycle.send("temperature", [(20.5, None)])
        assert device.calls() == []
        device.turn(1, 0)
        assert device.lifecycle.send("temperature", [(20.5, None)])
        assert service.points == [(20.5, None)]
        service.activate(service.serial)
        device.calls()
        assert not device.lifecycle.send("temperature", [(21.0, None)])
        device.turn(1, 0)
        assert device.lifecycle.send("temperature", [(21.0, None)])
        assert device.calls() == ["report", "activate", "target", "report"]
        service.trouble("report", NetError("no answer"))
        assert not device.lifecycle.send("temperature", [(22.0, None)])
        assert service.points == [(20.5, None), (21.0, None)]


# on trial


def _on_trial(service):
    """A device that has just been reset into version 2, of which `v2` is expected."""
    device = _device(service)
    service.publish("v2", FILE_2)
    return device


def test_a_trial_is_not_confirmed_anywhere_before_the_product_is_healthy():
    service = Service()
    with _on_trial(service) as device:
        assert device.live() == "reset"
        device.missing = "no temperature read"
        device.calls()
        assert device.live(5, 1_000) == "alive"
        assert device.calls() == ["target"] * 5
        slots = Slots()
        assert slots.state(slots.running) == PENDING
        assert service.current_id is None
        device.missing = ""
        device.turn(5, 1_000)
        assert device.calls() == ["target", "open_release", "confirm", "rename"], (
            "once it has passed there is no hurry any more"
        )
        _is_on(device, "v2", SLOT_2, "ota_1")


def test_a_trial_that_doesn_t_reach_the_server_is_not_confirmed():
    service = Service()
    with _on_trial(service) as device:
        device.live()
        service.trouble("target", NetError("no answer"), times=20)
        assert device.live(10) == "alive"
        slots = Slots()
        assert slots.state(slots.running) == PENDING


def test_on_trial_nothing_is_installed_though_the_target_moved_on():
    service = Service()
    with _on_trial(service) as device:
        device.live()
        device.missing = "too young"
        service.publish("v1", FILE_1)
        device.calls()
        assert device.live(3, 1_000) == "alive"
        assert device.calls() == ["target"] * 3
        assert device.slot("ota_0", len(SLOT_1)) == SLOT_1
        device.missing = ""
        _settle(device)
        _is_on(device, "v1", SLOT_1, "ota_0")


def test_a_trial_that_ends_without_proof_goes_back_and_is_not_repeated_at_once():
    service = _running_v1()
    with _device(service) as device:
        _begin_trial_of_v2(device)
        device.missing = "no temperature read"
        device.live(1)
        device.missing = ""
        device.calls()
        assert device.live(4, 600_000) == "alive"
        assert device.label == "ota_0"
        slots = Slots()
        assert slots.state(slots.other) == ABORTED
        assert device.calls() == ["target", "failed", "target"]
        assert service.failures == [("v2", "2.0.0", "watchdog")]
        assert service.current_id == "v1"
        record = device.record("release")
        assert record["failed"]["tries"] == 1
        assert record["id"] == "v1"
        device.turn(1, 0)
        assert device.calls() == ["target"], "40 minutes later"
        device.clock.pass_ms(1_200_000)
        try:
            device.turn(1, 0)
        except Ended as ended:
            assert str(ended) == "reset", "an hour later it gets another chance"
        assert device.live(1) == "alive"
        _is_on(device, "v2", SLOT_2, "ota_1")
        assert device.record("release")["failed"]["tries"] == 1, "should it fail once more, that is the second time"


def test_a_trial_that_lacked_nothing_but_a_server_that_is_away_for_the_old_release_too_is_not_counted():
    service = _running_v1()
    with _device(service) as device:
        _begin_trial_of_v2(device)
        device.missing, device.only_server = "server not reached", True
        service.trouble("target", NetError("no answer"), times=30)
        device.live(2)
        device.missing = ""
        assert device.live(30, 60_000) == "alive"
        assert device.label == "ota_0" and not device.record("release")["failed"]
        service.calm()
        assert device.live(1) == "reset", "it isn't waited for an hour, either"
        device.live(1)
        _is_on(device, "v2", SLOT_2, "ota_1")


def test_a_trial_that_found_no_server_where_the_old_release_finds_it_is_counted():
    service = _running_v1()
    with _device(service) as device:
        _begin_trial_of_v2(device)
        device.missing, device.only_server = "server not reached", True
        device.live(1)
        device.missing = ""
        service.trouble("target", NetError("no answer"), times=2)
        device.live(4, 60_000)
        service.trouble("target", NetError("no answer"), times=30)
        device.turn(30, 60_000)
        assert device.record("release")["failed"]["tries"] == 1


def test_a_release_that_could_not_be_replaced_does_not_pass_its_trial():
    """Without a header behind the application, or without a key that is valid, it would be the board's last one."""
    apps = [("ota_0", SLOT_1), ("ota_1", APP_2)] + otadata((1, VALID), (2, NEW))
    for keys, parts in (
        (KEYS, apps),
        ({}, [("ota_0", SLOT_1), ("ota_1", SLOT_2)] + otadata((1, VALID), (2, NEW))),
        ({"0123456789abcdef": b"short"}, [("ota_0", SLOT_1), ("ota_1", SLOT_2)] + otadata((1, VALID), (2, NEW))),
    ):
        service = Service()
        service.publish("v2", FILE_2)
        with Device(service, keys, parts) as device:
            device.live(5, 60_000)
            assert device.lifecycle.on_trial and "confirm" not in device.calls()
            slots = Slots()
            assert slots.state(slots.running) == PENDING


def test_a_trial_passes_only_when_a_release_s_header_could_be_fetched_and_judged():
    for damage in ("not found", "another file", "signed by a stranger"):
        service = Service()
        with _on_trial(service) as device:
            device.live()
            firmware = service.versions["v2"][0]
            if damage == "not found":
                del service.versions["v2"]
                service.target_id = "v2"
                service.trouble("target", CloudError(404, "x", "no version"), times=0)
            elif damage == "another file":
                service.versions["v2"] = (b"<html>" * 1000, None)
            else:
                service.versions["v2"] = (firmware[:4000] + bytes(96) + firmware[4096:], None)
            if damage == "not found":
                service.versions["v1"] = (b"<html>" * 1000, None)
                service.target_id = "v1"
            device.live(3, 60_000)
            assert device.lifecycle.on_trial, damage
            service.publish("v2", firmware)
            device.turn(3, 900_000)
            assert not device.lifecycle.on_trial, damage


def _rots(device, label):
    """One bit of the application in a slot."""
    with open(device.path, "r+b") as flash:
        flash.seek(SLOTS[label] + 300)
        byte = flash.read(1)
        flash.seek(SLOTS[label] + 300)
        flash.write(bytes([byte[0] ^ 1]))


def test_a_release_in_a_slot_that_the_bootloader_has_passed_over_has_its_trial():
    """ESP-IDF 5 writes an equal sequence where a slot is selected that is selected already: no trial, no way back."""
    one, two = [("ota_0", SLOT_1), ("ota_1", SLOT_2)], [("ota_0", SLOT_2), ("ota_1", SLOT_1)]
    for rotten, parts in (
        ("ota_1", one + otadata((1, VALID), (2, VALID))),
        ("ota_0", two + otadata((3, VALID), (2, VALID))),
    ):
        service = _registered(Service())
        service.current_id = "v1"
        with _device(service, parts) as device:
            _rots(device, rotten)
            device.live(1)
            assert device.label != rotten
            slots = Slots()
            assert not slots.is_fallen_back() and slots.state(slots.running) == VALID
            service.publish("v3", FILE_3)
            device.live(3)
            device.missing = "no network"
            device.live(2)
            device.live(2)
            assert device.label != rotten
            assert device.record("release")["failed"]["id"] == "v3"


def test_what_can_wait_stands_before_no_update():
    """The name and reports of failures are best effort: whatever the server answers to them, an update is made."""
    for error in (
        CloudError(403, "", "no"),
        CloudError(409, "", "no"),
        CloudError(500, "", "no"),
        NetError("no answer"),
    ):
        service = _registered(Service())
        service.current_id = "v1"
        with _device(service) as device:
            service.trouble("rename", error, times=50)
            service.trouble("failed", error, times=50)
            device.live(1)
            service.publish("v2", FILE_2)
            assert device.live(1) == "reset"
            device.missing = "no temperature read"
            device.live(1)
            device.missing = ""
            device.live(2)
            service.publish("v3", FILE_3)
            try:
                device.turn(1)
            except Ended:
                pass
            assert device.resets == 2, error


def test_a_board_in_trouble_tells_that_once():
    service = _running_v1()
    with _device(service) as device:
        device.start()
        device.lifecycle.trouble = "safe mode: ValueError"
        service.trouble("failed", CloudError(503, "", "not now"))
        device.turn(4)
        assert service.failures == [("v1", "1.0.0", "safe mode: ValueError")]


def test_no_server_wears_out_the_flash_by_downloads_that_break_off():
    service = _registered(Service(), "v2", FILE_2)
    service.short_by = 3000
    with _device(service) as device:
        device.start()
        tries = []
        for _ in range(24 * 60):
            before = len(service.opened)
            device.turn(1, 60_000)
            tries.append((len(service.opened) - before) // 2)
        assert 6 <= sum(tries[:10]) <= 8
        assert sum(tries[-300:]) >= 2, "and yet it goes on trying"
        erased = [line for line in device.told if line.startswith("op erase")]
        most = max(erased.count(line) for line in set(erased))
        assert most == sum(tries) <= 24, "each try erases, as this server can't go on; a sector lasts for ten years"


def test_no_server_wears_out_the_flash_by_updates_that_succeed():
    service = _running_v1()
    with _device(service) as device:
        device.live(1)
        service.versions["v2"] = (FILE_2, None)
        for day in range(2):
            for _ in range(24 * 60):
                service.target_id = "v2" if service.current_id == "v1" else "v1"
                if device.sim.over:
                    device.start()
                try:
                    device.turn(1, 60_000)
                except Ended:
                    device.operations = device.sim.operations
            assert device.resets <= 16 * (day + 1), "otadata lasts for ten years"
        assert device.resets > 20, "and yet it follows its server"


def test_after_three_rollbacks_only_another_version_is_tried():
    service = _running_v1()
    with _device(service) as device:
        device.live(1)
        service.publish("v2", FILE_2)
        for tries in (1, 2, 3):
            end = device.live(30)
            assert end == "reset", "try %d" % tries
            device.missing = "it never works"
            device.live(1)
            device.missing = ""
        assert device.live(40) == "alive"
        assert device.label == "ota_0"
        assert device.record("release")["failed"]["tries"] == 3
        service.publish("v3", FILE_2)
        device.clock.pass_ms(901_000)
        assert device.live(1) == "reset", "the same release as another version: the vendor insists"
        assert device.live(1) == "alive"
        _is_on(device, "v3", SLOT_2, "ota_1")


def test_a_power_cut_before_the_switch_is_not_taken_for_an_earlier_rollback():
    service = _running_v1()
    with _device(service) as device:
        _begin_trial_of_v2(device)
        device.missing = "it never works"
        device.live(1)
        device.missing = ""
        device.live(0)
        service.publish("v3", FILE_2)
        # up to the last write before set_boot: v3 is expected, and the slot was aborted with v2
        with cut_before_the_switch():
            try:
                device.turn()
            except Ended as ended:
                assert str(ended) == "cut"
        device.operations = device.sim.operations
        assert device.record("release")["next"]["id"] == "v3"
        device.live(0)
        record = device.record("release")
        assert record["failed"]["id"] == "v2"
        assert not record["next"]
        assert device.live(1) == "reset"
        device.live(1)
        _is_on(device, "v3", SLOT_2, "ota_1")


# the confirmation


def test_a_confirmation_that_got_lost_is_repeated():
    for after in (False, True):
        service = Service()
        with _on_trial(service) as device:
            device.live()
            service.trouble("confirm", NetError("no answer"), after, 2)
            device.calls()
            assert device.live(3) == "alive"
            assert device.calls() == ["target", "open_release", "confirm"] + ["target", "confirm"] * 2 + ["rename"]
            _is_on(device, "v2", SLOT_2, "ota_1")


def test_a_confirmation_that_got_lost_is_repeated_after_a_reset():
    service = Service()
    with _on_trial(service) as device:
        device.live()
        service.trouble("confirm", NetError("no answer"), True)
        device.live(1)
        assert device.record("release")["next"]["id"] == "v2"
        device.calls()
        assert device.live(2) == "alive"
        assert device.calls() == ["target", "confirm", "rename", "target"]
        _is_on(device, "v2", SLOT_2, "ota_1")


def test_a_version_that_was_withdrawn_meanwhile_doesn_t_keep_the_device_from_the_next():
    for status in (404, 409):
        service = Service()
        with _on_trial(service) as device:
            device.live()
            if status == 404:
                del service.versions["v2"]
            else:
                service.foreign = "v2"
            service.publish("v1", FILE_1)
            _settle(device)
            _is_on(device, "v1", SLOT_1, "ota_0")


def test_a_confirmation_that_the_server_can_t_take_now_is_not_given_up():
    for status in (403, 429, 500, 503):
        service = Service()
        with _on_trial(service) as device:
            device.live()
            service.trouble("confirm", CloudError(status, "", "not now"))
            device.calls()
            assert device.live(2) == "alive"
            assert device.calls() == ["target", "open_release", "confirm", "target", "confirm", "rename"]
            _is_on(device, "v2", SLOT_2, "ota_1")


def test_a_confirmation_that_is_refused_for_the_key_is_repeated_with_a_new_one():
    service = Service()
    with _on_trial(service) as device:
        device.live()
        service.trouble("confirm", CloudError(401, "", "key wrong"))
        device.calls()
        assert device.live(2, 0) == "alive"
        again = ["activate", "target", "confirm", "rename"]
        assert device.calls() == ["target", "open_release", "confirm"] + again
        _is_on(device, "v2", SLOT_2, "ota_1")


# what NVS and flash disagree about


def test_a_release_that_was_flashed_by_hand_is_recognised():
    service = Service()
    service.publish("v1", FILE_1, _digest(HEADER_1))
    with _device(service) as device:
        device.live(1)
        service.publish("v2", FILE_2, _digest(HEADER_2))
        with open(device.path, "r+b") as file:
            file.seek(0x10000)
            file.write(SLOT_2)
        device.calls()
        assert device.live(1) == "alive"
        assert device.calls() == ["target", "current", "confirm"]
        assert device.record("release")["id"] == "v2"


def test_an_erased_nvs_costs_an_activation_and_nothing_else():
    service = Service()
    with _on_trial(service) as device:
        _settle(device)
        with open(device.path, "r+b") as file:
            file.seek(0x9000)
            file.write(b"\xff" * 0x4000)
        device.calls()
        assert _erases(device, 2) == 0
        assert device.calls() == ["activate", "target", "current", "rename", "target"]
        _is_on(device, "v2", SLOT_2, "ota_1")


def test_records_that_make_no_sense_are_survived():
    for name in ("cloud", "release"):
        for text in (b"{", b"[1]", b'{"key": 1, "next": "x", "id": {}}', b'{"v": 99, "thing": [], "failed": 5}'):
            service = _registered(Service(), "v2", FILE_2)
            with _device(service) as device:
                esp32.NVS("keeper").set_blob(name, text)
                _settle(device)
                _is_on(device, "v2", SLOT_2, "ota_1")


# power cuts


def _count_operations(resumable=False):
    """Operations of a whole update: from a bare board to version 2, registered."""
    service = Service()
    service.resumable = resumable
    with _on_trial(service) as device:
        _settle(device)
        _is_on(device, "v2", SLOT_2, "ota_1")
        return device.operations


def test_a_power_cut_at_any_write_of_an_update_is_made_good():
    with kept_loaded():
        total = _count_operations()
        assert total > 40
        for number in cuts(total):
            moment = ("before", "middle", "after")[number % 3]
            _cut_at(number, moment)


def test_a_power_cut_in_the_middle_of_a_write_is_made_good_with_a_server_that_can_go_on():
    with kept_loaded():
        total = _count_operations(True)
        for number in cuts(total):
            if number % 3 != 1:
                _cut_at(number, "middle", True)


def _cut_at(number, moment, resumable=False):
    service = Service()
    service.resumable = resumable
    with _on_trial(service) as device:
        device.cut = (number, moment, number)
        ends = []
        while "cut" not in ends:
            ends.append(device.live(2))
            assert len(ends) < 5, (number, moment, ends)
        device.cut = None
        _settle(device)
        _is_on(device, "v2", SLOT_2, "ota_1")
        record = device.record("release")
        if record.get("failed"):
            # only a trial that had begun counts: the power went before it was confirmed
            assert record["failed"]["tries"] == 1
            assert ends[0] == "reset", (number, moment)
