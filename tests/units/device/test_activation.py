"""Activation: a key is stored before it is used, replaced when it was dropped, never used where it doesn't belong."""

import json

import esp32

from fake_device import clock_of
from fake_flash import fill_nvs, identity
from fakes import Cloud, Service
from keeper import uptime
from keeper.errors import CloudError, NetError, StateError
from keeper.nvs.state import Store
from keeper.services.gadgetkeeper.standing import Activation
from support import raises
from support_flash import Ended, attach, board

REFUSED = 401


class _Named(Activation):
    """Does what can wait at once."""

    def ensure(self):
        super().ensure()
        self.give_name()


class _Life:
    """What there is between two resets."""

    def __init__(self, service, name="ThermometerDevice", record=None):
        self.service = service
        self.cloud = Cloud(service)
        self.activation = _Named(identity(**(record or {})), self.cloud, name)
        self.activation.recall()

    def refusal(self):
        """The error that the service answers a call with, or None."""
        try:
            self.cloud.target()
        except CloudError as error:
            return error
        return None


def _stored():
    return Store().load("cloud")


def test_a_bare_board_activates_and_names_its_thing():
    with board() as sim:
        service = Service()
        life = _Life(service)
        assert not life.activation.active()
        life.activation.ensure()
        assert life.activation.active()
        assert life.refusal() is None
        assert service.name == "ThermometerDevice"
        assert service.calls == ["activate", "rename", "target"]
        attach(sim.path)
        stored = _stored()
        assert (stored["key"], stored["thing"], stored["named"]) == (service.key, service.thing, True)
        assert (stored["serial"], stored["service"]) == (service.serial, "gadgetkeeper")


def test_an_activated_board_says_nothing_to_the_server_at_its_next_start():
    with board() as sim:
        service = Service()
        _Life(service).activation.ensure()
        del service.calls[:]
        sim = attach(sim.path)
        life = _Life(service)
        life.activation.ensure()
        assert service.calls == []
        assert sim.operations == 0
        assert life.refusal() is None


def test_a_thing_that_needs_no_name_keeps_the_one_it_has():
    with board():
        service = Service()
        _Life(service, name=None).activation.ensure()
        assert service.name == "Thermometer 2"
        assert service.calls == ["activate"]


class _CheckedCloud(Cloud):
    """Notes what NVS held when the driver was told to use a key."""

    def use(self, credentials):
        self.stored_then = json.loads(json.dumps(_stored()))
        super().use(credentials)


def test_a_key_is_in_nvs_before_it_is_used():
    with board():
        cloud = _CheckedCloud(Service())
        Activation(identity(), cloud, None).ensure()
        assert cloud.stored_then["key"] == cloud.service.key


def test_a_key_that_can_t_be_stored_is_not_used():
    with board():
        fill_nvs()
        service = Service()
        life = _Life(service)
        with raises(StateError, "NVS is full"):
            life.activation.ensure()
        assert not life.activation.active()
        assert life.refusal().status == REFUSED


def test_an_answer_that_got_lost_costs_one_more_activation():
    with board() as sim:
        service = Service()
        service.trouble("activate", NetError("the answer never came"), after=True)
        life = _Life(service)
        with raises(NetError):
            life.activation.ensure()
        assert service.key == "key1"
        assert not life.activation.active()
        life.activation.ensure()
        assert service.key == "key2"
        assert life.refusal() is None
        attach(sim.path)
        assert _stored()["key"] == "key2"


def test_an_activation_elsewhere_costs_one_refusal_and_one_activation():
    with board():
        service = Service()
        life = _Life(service)
        life.activation.ensure()
        service.activate(service.serial)
        error = life.refusal()
        assert error.status == REFUSED
        assert life.activation.refused(error)
        assert not life.activation.active()
        life.activation.ensure()
        assert life.refusal() is None
        assert _stored()["key"] == service.key


def test_a_second_refusal_is_answered_after_a_pause_that_grows():
    with board(), clock_of(uptime) as clock:
        service = Service()
        life = _Life(service)
        life.activation.ensure()
        service.activate(service.serial)
        assert life.activation.refused(life.refusal())
        for least_ms in (30_000, 60_000, 120_000):
            life.activation.ensure()
            life.activation.works()
            service.activate(service.serial)
            assert not life.activation.refused(life.refusal())
            assert not life.activation.active()
            with raises(CloudError, "dropped again") as caught:
                life.activation.ensure()
            assert least_ms <= caught.value.retry_after_ms <= 2 * least_ms
            clock.pass_ms(caught.value.retry_after_ms)
        life.activation.ensure()
        assert life.refusal() is None


def test_once_the_key_held_for_an_hour_a_refusal_is_the_first_again():
    with board(), clock_of(uptime) as clock:
        service = Service()
        life = _Life(service)
        for _ in range(3):
            life.activation.ensure()
            clock.pass_ms(3_700_000)
            assert life.refusal() is None
            life.activation.works()
            service.activate(service.serial)
            assert life.activation.refused(life.refusal())


def test_only_a_refused_key_is_replaced():
    with board():
        service = Service()
        life = _Life(service)
        assert not life.activation.refused(CloudError(401, "", "not activated yet")), "there is no key yet"
        life.activation.ensure()
        for error in (CloudError(403, "", ""), CloudError(404, "", ""), CloudError(500, "", ""), NetError("x")):
            assert not life.activation.refused(error)
        assert life.activation.active()
        assert life.refusal() is None


def test_an_id_that_was_damaged_on_its_way_costs_one_more_activation():
    for error in (CloudError(404, "no_such_thing", "no thing"), CloudError(403, "wrong_thing", "another's")):
        with board() as sim:
            service = Service()
            sound = service.activate
            service.activate = lambda serial, found=sound: dict(found(serial), thing="thing7")
            life = _Life(service)
            with raises(CloudError):
                life.activation.ensure()
            service.activate = sound
            service.trouble("target", error)
            assert life.activation.refused(life.refusal())
            assert not life.activation.active()
            life.activation.ensure()
            assert life.refusal() is None
            attach(sim.path)
            assert (_stored()["thing"], _stored()["named"]) == (service.thing, True)
            assert service.calls == ["activate", "rename", "target", "activate", "rename", "target"]


def test_refusals_of_the_activation_itself_go_to_the_caller():
    for status in (401, 403, 404, 429):
        with board():
            service = Service()
            service.trouble("activate", CloudError(status, "", "no"))
            life = _Life(service)
            with raises(CloudError) as caught:
                life.activation.ensure()
            assert caught.value.status == status
            assert not life.activation.refused(caught.value)
            assert _stored() is None


def test_a_key_is_not_used_for_another_server_serial_or_service():
    others = ({"server": "https://other.example"}, {"serial": "THERM00000000000002"}, {"service": "hawkbit"})
    for change in others:
        with board():
            service = Service()
            _Life(service).activation.ensure()
            life = _Life(service, record=change)
            assert not life.activation.active()
            assert life.refusal().status == REFUSED


def test_a_board_that_moved_activates_at_its_new_server():
    with board() as sim:
        _Life(Service()).activation.ensure()
        moved = Service()
        moved.activate(moved.serial)
        life = _Life(moved, record={"server": "https://other.example"})
        life.activation.ensure()
        assert life.refusal() is None
        attach(sim.path)
        assert _stored()["server"] == "https://other.example"
        assert _stored()["key"] == "key2"


def test_a_name_that_the_server_doesn_t_allow_is_given_up_for_good():
    with board() as sim:
        service = Service()
        service.refused_name = "ThermometerDevice"
        life = _Life(service)
        life.activation.ensure()
        assert service.name == "Thermometer 2"
        assert life.refusal() is None
        attach(sim.path)
        _Life(service).activation.ensure()
        assert service.calls.count("rename") == 1


def test_a_name_that_didn_t_get_there_is_given_later_without_another_activation():
    for error in (NetError("no answer"), CloudError(500, "", ""), CloudError(404, "", "")):
        for after in (False, True):
            with board() as sim:
                service = Service()
                service.trouble("rename", error, after)
                life = _Life(service)
                with raises((NetError, CloudError)):
                    life.activation.ensure()
                assert life.activation.active()
                attach(sim.path)
                life = _Life(service)
                life.activation.ensure()
                assert service.name == "ThermometerDevice"
                assert service.calls == ["activate", "rename", "rename"]


def test_a_name_that_the_owner_gave_since_is_left_when_the_key_is_replaced():
    with board() as sim:
        service = Service()
        life = _Life(service)
        life.activation.ensure()
        service.name = "Kitchen"
        service.activate(service.serial)
        assert life.activation.refused(life.refusal())
        life.activation.ensure()
        assert service.name == "Kitchen"
        attach(sim.path)
        life = _Life(service)
        service.activate(service.serial)
        assert life.activation.refused(life.refusal())
        life.activation.ensure()
        assert service.name == "Kitchen"


def test_a_thing_that_was_made_anew_is_named_again():
    with board():
        service = Service()
        life = _Life(service)
        life.activation.ensure()
        service.thing, service.key = None, None
        assert life.activation.refused(life.refusal())
        service.activate(service.serial)
        service.thing, service.name = "thing2", "Thermometer 3"
        life.activation.ensure()
        assert service.name == "ThermometerDevice"
        assert _stored()["thing"] == "thing2"


def test_what_older_firmware_stored_is_used_as_it_is():
    with board():
        service = Service()
        service.activate(service.serial)
        esp32.NVS("keeper").set_blob("apiKey", service.key.encode())
        esp32.NVS("keeper").set_blob("thingId", service.thing.encode())
        life = _Life(service)
        life.activation.ensure()
        assert life.refusal() is None
        assert service.calls == ["target"]


def test_stored_credentials_of_any_form_are_survived():
    odd = (b"[]", b'{"key": 5, "thing": "x"}', b'{"key": "x", "thing": null}', b'{"key": "", "thing": "x"}', b"{")
    for text in odd:
        with board():
            esp32.NVS("keeper").set_blob("cloud", text)
            service = Service()
            life = _Life(service)
            assert not life.activation.active()
            life.activation.ensure()
            assert life.refusal() is None


# what a person at the console can ask for


def test_this_service_needs_no_token_and_moves_nobody_to_another_product():
    with board():
        service = Service()
        life = _Life(service)
        for token in (None, "a token"):
            with raises(CloudError, "needs no token"):
                life.activation.provision(token)
        with raises(CloudError, "another product"):
            life.activation.activate("lamp")
        assert life.activation.product() == "thermometer"
        assert service.calls == []


def test_an_activation_that_is_asked_for_is_made_at_once():
    with board(), clock_of(uptime):
        service = Service()
        life = _Life(service)
        for number in (1, 2, 3):
            assert life.activation.activate() == {"thing": service.thing}
            assert _stored()["key"] == service.key == "key%d" % number
        for _ in range(2):
            life.activation.ensure()
            service.activate(service.serial)
            life.activation.refused(life.refusal())
        with raises(CloudError, "dropped again"):
            life.activation.ensure()
        life.activation.activate("thermometer")
        assert life.refusal() is None


def test_a_key_that_was_forgotten_is_gone_and_the_name_stays_the_owner_s():
    with board() as sim:
        service = Service()
        life = _Life(service)
        life.activation.ensure()
        service.name = "Kitchen"
        life.activation.forget()
        for one in (life, _Life(service)):
            assert not one.activation.active()
            assert one.activation.describe()["state"] == "not activated"
        attach(sim.path)
        assert "key" not in _stored()
        one = _Life(service)
        one.activation.ensure()
        assert (one.refusal(), service.name) == (None, "Kitchen")


def test_what_older_firmware_stored_is_forgotten_too():
    with board():
        service = Service()
        service.activate(service.serial)
        esp32.NVS("keeper").set_blob("apiKey", service.key.encode())
        esp32.NVS("keeper").set_blob("thingId", service.thing.encode())
        life = _Life(service, name=None)
        life.activation.forget()
        assert not _Life(service).activation.active()
        for name in ("apiKey", "thingId"):
            with raises(OSError):
                esp32.NVS("keeper").get_blob(name, bytearray(64))


def test_a_board_that_never_had_a_key_has_nothing_to_forget():
    with board():
        life = _Life(Service())
        life.activation.forget()
        assert _stored() is None


def test_the_status_has_no_key():
    with board():
        service = Service()
        life = _Life(service)
        life.activation.ensure()
        told = life.activation.describe()
        assert (told["state"], told["thing"], told["product"]) == ("activated", service.thing, "thermometer")
        assert (told["service"], told["server"]) == ("gadgetkeeper", "http://127.0.0.1:8000")
        assert service.key not in json.dumps(told)


class _PickyCloud(Cloud):
    """Like the drivers, it doesn't take everything for a thing's id."""

    def use(self, credentials):
        if "/" in credentials["thing"]:
            raise NetError("no usable id for the thing")
        super().use(credentials)


def test_credentials_that_the_driver_can_t_use_are_replaced():
    with board():
        esp32.NVS("keeper").set_blob("cloud", b'{"key": "x", "thing": "../x"}')
        service = Service()
        activation = Activation(identity(), _PickyCloud(service), None)
        with raises(NetError):
            activation.recall()
        assert not activation.active()
        activation.ensure()
        assert _stored()["thing"] == service.thing


def test_a_power_cut_anywhere_in_an_activation_is_made_good_at_the_next_start():
    with board() as sim:
        _Life(Service()).activation.ensure()
        count = sim.operations
    for number in range(count):
        for moment in ("before", "middle", "after"):
            with board() as sim:
                service = Service()
                sim.settings["cuts"] = [{"operation": number, "moment": moment, "seed": number}]
                with raises(Ended, "cut"):
                    _Life(service).activation.ensure()
                attach(sim.path)
                life = _Life(service)
                life.activation.ensure()
                assert life.refusal() is None, (number, moment)
                assert service.name == "ThermometerDevice"
                attach(sim.path)
                assert (_stored()["key"], _stored()["named"]) == (service.key, True)
                assert service.calls.count("activate") <= 2
