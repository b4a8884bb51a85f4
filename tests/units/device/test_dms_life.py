"""Whole lives of a device of Gecko OS DMS: provisioned, activated, updated, moved to another product and back."""

from fake_device import Device, kept_loaded
from fake_dms import TOKEN, DmsCloud, DmsService
from fake_flash import VALID, identity, otadata, slot_content
from images import application
from keeper.errors import CloudError, NetError
from keeper.services.gecko_dms.standing import GeckoDms
from releases import KEYS, header, manifest
from support import cuts, raises
from support_flash import Ended

HEAP_KIB = 1024  # releases of 20 KB, in memory and on their way

APP, FS = application(4500, fill=1), b"one." * 1024
APP_LAMP, FS_LAMP = application(7000, fill=2), b"lamp" * 1024
HEADER_1 = header(manifest(APP, FS, security=3))
HEADER_OLD = header(manifest(APP_LAMP, FS, version="0.9.0", security=2))
HEADER_LAMP = header(manifest(APP_LAMP, FS_LAMP, version="5.0.0", product="lamp", security=1))
FILE_1 = HEADER_1 + APP + FS
FILE_OLD = HEADER_OLD + APP_LAMP + FS
FILE_LAMP = HEADER_LAMP + APP_LAMP + FS_LAMP
SLOT_1 = slot_content(APP, HEADER_1, FS)
BARE = [("ota_0", SLOT_1)] + otadata((1, VALID))


class DmsDevice(Device):
    """A device that knows its service by tokens."""

    def __init__(self, service, **changes):
        super().__init__(service, KEYS, BARE)
        self.identity = identity(service="gecko_dms", **changes)

    def join(self):
        cloud = DmsCloud(self.service)
        return cloud, GeckoDms(self.identity, cloud, "ThermometerDevice")


class Lamps(DmsService):
    """Each product has a version of its own."""

    def __init__(self):
        super().__init__()
        self.publish("t1", FILE_1)
        self.publish("lamp5", FILE_LAMP)
        self.publish("old", FILE_OLD)
        self.of_product = {"thermometer": "t1", "lamp": "lamp5"}

    def version(self, version_id):
        return super().version(self.of_product[self.product] if version_id == self.target_id else version_id)

    def arrive(self, verb, action):
        self.target_id = "the target"
        return super().arrive(verb, action)


def _settle(device, lives=6):
    for _ in range(lives):
        if device.live(6) == "alive":  # long enough for a trial that was cut off to be tried again
            return
    raise AssertionError("the device doesn't come to rest")


def _moved(device, code):
    """As a person at the console does it."""
    device.lifecycle.standing.activate(code)
    device.lifecycle.sync_now()


def test_a_board_with_a_token_is_provisioned_activated_and_registered():
    service = Lamps()
    with DmsDevice(service, token=TOKEN) as device:
        assert device.live(1) == "alive"
        calls = device.calls()
        assert calls[:5] == ["provision", "acknowledge", "activate", "target", "current"]
        assert service.current_id == "t1"
        assert device.lifecycle.last_sync_ms is not None
        assert device.live(2) == "alive"
        assert device.calls() == ["target", "rename", "target"]


def test_without_a_token_it_waits_and_goes_on_when_it_gets_one():
    service = Lamps()
    with DmsDevice(service) as device:
        assert device.live(3) == "alive"
        assert device.calls() == []
        assert device.lifecycle.last_sync_ms is None
        assert not device.lifecycle.send("temperature", [(20.5, None)])
        device.lifecycle.standing.provision(TOKEN)
        device.lifecycle.sync_now()
        device.turn(1, 0)
        assert service.current_id == "t1"
        assert device.lifecycle.send("temperature", [(20.5, None)])


def test_a_product_s_release_is_taken_only_once_the_device_is_of_that_product():
    service = Lamps()
    with DmsDevice(service, token=TOKEN) as device:
        service.of_product["thermometer"] = "lamp5"
        assert device.live(2) == "alive"
        assert device.resets == 0, "for another product"
        service.of_product["thermometer"] = "t1"
        _moved(device, "lamp")
        with raises(Ended, "reset"):
            device.turn(1)
        assert device.live(1) == "alive"
        assert (device.label, service.current_id) == ("ota_1", "lamp5")
        service.of_product["lamp"] = "t1"
        device.turn(2)
        assert device.label == "ota_1", "and the former product's isn't any more"


def test_a_wish_before_the_first_activation_leads_straight_to_that_product():
    service = Lamps()
    with DmsDevice(service, token=TOKEN) as device:
        service.trouble("activate", NetError("no answer"))
        assert device.live(0) == "alive"
        device.lifecycle.standing.provision()
        try:
            device.lifecycle.standing.activate("lamp")
        except NetError:
            pass
        _settle(device)
        assert (service.product, service.current_id) == ("lamp", "lamp5")


def test_on_the_way_back_nothing_older_in_security_is_taken():
    service = Lamps()
    with DmsDevice(service, token=TOKEN) as device:
        device.live(1)
        _moved(device, "lamp")
        _settle(device)
        assert service.current_id == "lamp5", "lamps count their own security versions"
        service.of_product["thermometer"] = "old"
        _moved(device, "thermometer")
        assert device.live(3) == "alive"
        assert (device.label, device.resets) == ("ota_1", 1)
        service.of_product["thermometer"] = "t1"
        _settle(device)
        assert (device.label, service.current_id) == ("ota_0", "t1")


def test_after_a_rollback_the_board_is_still_of_the_product_it_was_moved_to():
    service = Lamps()
    with DmsDevice(service, token=TOKEN) as device:
        device.live(1)
        _moved(device, "lamp")
        assert device.live(1) == "reset"
        device.missing = "no light"
        device.live(1)
        device.missing = ""
        assert device.live(1) == "alive"
        assert device.label == "ota_0"
        assert service.failures == [("lamp5", "5.0.0", "watchdog")]
        assert device.lifecycle.standing.product() == "lamp"
        assert service.current_id is None
        _moved(device, "thermometer")
        device.turn(1)
        assert service.current_id == "t1", "what it runs is told again: the server forgot it with the move"


def test_a_credential_that_is_refused_is_asked_about_more_and_more_rarely():
    service = Lamps()
    with DmsDevice(service, token=TOKEN) as device:
        device.live(1)
        service.credential = None
        device.calls()
        for _ in range(3600):
            device.lifecycle.step()
            device.clock.pass_ms(1000)
        calls = device.calls()
        assert set(calls) == {"target"}
        assert 6 <= len(calls) <= 16, "an hour"


def test_a_device_that_nobody_has_claimed_asks_with_growing_pauses_and_goes_on_by_itself():
    service = Lamps()
    service.claimed = False
    with DmsDevice(service, token=TOKEN) as device:
        device.live(0)
        for _ in range(3600):
            device.lifecycle.step()
            device.clock.pass_ms(1000)
        calls = device.calls()
        assert calls[:2] == ["provision", "acknowledge"]
        assert set(calls[2:]) == {"activate"}
        assert 6 <= len(calls[2:]) <= 16
        service.claimed = True
        device.turn(2)
        assert service.current_id == "t1"


def test_a_refusal_that_is_not_the_dms_s_own_costs_no_credential():
    """The token is spent by then: a proxy's 401 would lock the device out."""
    service = Lamps()
    with DmsDevice(service, token=TOKEN) as device:
        service.trouble("acknowledge", NetError("no answer"), after=True)
        service.trouble("acknowledge", CloudError(401, "", "log in to this network"), times=3)
        device.live(6)
        assert device.calls()[:6] == ["provision"] + ["acknowledge"] * 5
        assert service.current_id == "t1"


def test_a_credential_that_was_replaced_is_got_again_after_a_pause():
    service = Lamps()
    with DmsDevice(service, token=TOKEN) as device:
        service.trouble("acknowledge", CloudError(401, "unauthorized", "replaced"))
        device.live(1, 0)
        device.turn(3, 0)
        assert device.calls() == ["provision", "acknowledge"]
        device.turn(1, 3_000)
        device.turn(1, 0)
        assert device.calls()[:3] == ["provision", "acknowledge", "activate"]
        assert service.current_id == "t1"


def test_a_power_cut_at_any_write_of_a_move_to_another_product_is_made_good():
    def story(device):
        """From the first start to the other product."""
        for _ in range(6):
            end = device.live(1)
            if end == "cut":
                return end
            if end == "alive" and device.service.product == "lamp":
                return end
            if end == "alive":
                try:
                    device.lifecycle.standing.activate("lamp")
                except Ended as ended:
                    device.operations = device.sim.operations
                    return str(ended)
                device.operations = device.sim.operations
        raise AssertionError("no end")

    with kept_loaded(), DmsDevice(Lamps(), token=TOKEN) as device:
        assert story(device) == "alive"
        total = device.operations
    for number in cuts(total):
        service = Lamps()
        with kept_loaded(), DmsDevice(service, token=TOKEN) as device:
            device.cut = (number, ("before", "middle", "after")[number % 3], number)
            assert story(device) == "cut", number
            device.cut = None
            _settle(device)
            if service.product != "lamp":  # the power went before there was a wish
                _moved(device, "lamp")
                _settle(device)
            assert service.current_id == "lamp5", number
            assert device.lifecycle.standing.product() == "lamp"
            assert device.label == "ota_1"
