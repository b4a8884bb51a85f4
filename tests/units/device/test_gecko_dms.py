"""Gecko OS DMS: four states, what each call does in each; whatever cuts one off is made good by the next."""

import builtins
import json
import os

import esp32

from fake_dms import THING, TOKEN, DmsCloud, DmsService
from fake_flash import fill_nvs, identity
from keeper import phases
from keeper.errors import CloudError, FactoryError, NetError, StateError
from keeper.nvs.state import Store
from keeper.services.gecko_dms.standing import (
    COMPLETE,
    COMPLETE_BUT_NO_ACK,
    INCOMPLETE_AND_HAVE_TOKEN,
    INCOMPLETE_AND_NO_TOKEN,
    GeckoDms,
)
from support import cuts, raises
from support_flash import Ended, attach, board

OTHER_TOKEN = "another-token"


class Named(GeckoDms):
    """Does what can wait at once."""

    def ensure(self):
        super().ensure()
        self.give_name()


def dms(service, name="ThermometerDevice", **record):
    """A standing as it is after a boot, and the driver it speaks through."""
    record["service"] = "gecko_dms"
    standing = Named(identity(**record), DmsCloud(service), name)
    standing.recall()
    return standing


def in_state(state, service):
    """A device that was left in this state, after a boot."""
    device = dms(service)
    if state == INCOMPLETE_AND_HAVE_TOKEN:
        service.trouble("provision", NetError("no answer"))
        with raises(NetError):
            device.provision(TOKEN)
    elif state == COMPLETE_BUT_NO_ACK:
        service.trouble("acknowledge", NetError("no answer"))
        with raises(NetError):
            device.provision(TOKEN)
    elif state == COMPLETE:
        device.provision(TOKEN)
    del service.calls[:]
    device = dms(service)
    assert device.get_provision_status() == state
    return device


def stored():
    return Store().load("dms")


def is_complete(device, service):
    assert device.get_provision_status() == COMPLETE
    record = stored()
    assert record["credential"] == service.credential
    assert record["acked"] is True
    assert "token" not in record
    return True


# the table: state by state, call by call


def test_without_token_and_credential_it_says_how_to_give_one():
    with board() as sim:
        service = DmsService()
        device = in_state(INCOMPLETE_AND_NO_TOKEN, service)
        before = sim.operations
        with raises(CloudError, "no provisioning token: give it one"):
            device.provision()
        with raises(CloudError, "no token: it can't be activated"):
            device.activate("thermometer")
        with raises(CloudError, "no provisioning token"):
            device.ensure()
        assert (service.calls, sim.operations) == ([], before)


def test_with_a_token_given_it_is_provisioned_from_any_state_but_complete():
    for state in (INCOMPLETE_AND_NO_TOKEN, INCOMPLETE_AND_HAVE_TOKEN):
        with board():
            service = DmsService()
            device = in_state(state, service)
            device.provision(TOKEN)
            assert service.calls == ["provision", "acknowledge"]
            assert is_complete(device, service)


def test_a_token_that_was_given_before_is_enough():
    with board():
        service = DmsService()
        device = in_state(INCOMPLETE_AND_HAVE_TOKEN, service)
        with raises(CloudError, "not provisioned yet: it can't be activated"):
            device.activate("thermometer")
        device.provision()
        assert service.calls == ["provision", "acknowledge"]
        assert is_complete(device, service)


def test_a_token_is_written_only_if_it_is_another_one():
    with board() as sim:
        service = DmsService()
        device = in_state(INCOMPLETE_AND_HAVE_TOKEN, service)
        before = sim.operations
        service.trouble("provision", NetError("no answer"))
        with raises(NetError):
            device.provision(TOKEN)
        assert sim.operations == before
        service.trouble("provision", NetError("no answer"))
        with raises(NetError):
            device.provision(OTHER_TOKEN)
        assert stored()["token"] == OTHER_TOKEN
        service.token = OTHER_TOKEN
        dms(service).provision()
        assert is_complete(dms(service), service)


def test_what_is_no_token_is_neither_stored_nor_sent():
    with board():
        service = DmsService()
        device = in_state(INCOMPLETE_AND_NO_TOKEN, service)
        for token in ("", "a b", "x" * 65, "a\n", "\u00e9", 5, b"abc", "a/b"):
            with raises(CloudError, "no provisioning token"):
                device.provision(token)
        assert service.calls == []
        assert stored() is None


def test_a_credential_that_isn_t_acknowledged_is_acknowledged_and_nothing_else():
    for token in (None, TOKEN, OTHER_TOKEN, "not a token"):
        with board():
            service = DmsService()
            device = in_state(COMPLETE_BUT_NO_ACK, service)
            with raises(CloudError, "not acknowledged yet: it can't be activated"):
                device.activate("thermometer")
            device.provision(token)
            assert service.calls == ["acknowledge"]
            assert is_complete(device, service)


def test_once_complete_provisioning_asks_nothing_and_writes_nothing():
    for token in (None, TOKEN, OTHER_TOKEN, "not a token"):
        with board() as sim:
            service = DmsService()
            device = in_state(COMPLETE, service)
            before = sim.operations
            device.provision(token)
            assert (service.calls, sim.operations) == ([], before)
            assert is_complete(device, service)


def test_the_status_costs_nothing_in_any_state():
    for state in (0, 1, 2, 3):
        with board() as sim:
            service = DmsService()
            device = in_state(state, service)
            before = sim.operations
            assert device.get_provision_status() == state
            assert (service.calls, sim.operations) == ([], before)


def test_activation_hands_back_what_the_server_says():
    with board() as sim:
        service = DmsService()
        device = in_state(COMPLETE, service)
        assert device.product() == "thermometer", "the factory record's"
        expected = {"product": "lamp", "name": "A product", "thing": THING, "version": None}
        assert device.activate("lamp") == expected
        assert (device.product(), device.active()) == ("lamp", True)
        before = sim.operations
        assert device.activate("lamp") == expected
        assert sim.operations == before, "a repetition changes nothing"
        assert dms(service).product() == "lamp"
        with raises(CloudError, "no product code"):
            device.activate("a/b")
        assert service.calls == ["activate"] * 2


# what the life cycle asks for


def test_a_bare_board_with_a_token_comes_all_the_way_by_itself():
    with board() as sim:
        service = DmsService()
        device = dms(service, token=TOKEN)
        assert not device.active()
        device.ensure()
        assert device.active()
        assert service.calls == ["provision", "acknowledge", "activate", "rename"]
        assert (service.name, service.product) == ("ThermometerDevice", "thermometer")
        assert THING in device.thing()
        sim = attach(sim.path)
        device = dms(service, token=TOKEN)
        device.ensure()
        assert device.active()
        assert len(service.calls) == 4, "at the next start there is nothing to do"
        assert sim.operations == 0


def test_a_name_that_isn_t_allowed_is_given_up_and_one_that_got_lost_is_given_again():
    for error, calls in ((CloudError(400, "", "no"), 1), (NetError("no answer"), 2), (CloudError(500, "", ""), 2)):
        with board():
            service = DmsService()
            service.trouble("rename", error)
            device = dms(service, token=TOKEN)
            if calls == 1:
                device.ensure()
            else:
                with raises((NetError, CloudError)):
                    device.ensure()
            dms(service, token=TOKEN).ensure()
            assert service.calls.count("rename") == calls


def test_a_device_that_nobody_has_claimed_goes_on_once_it_is_claimed():
    with board():
        service = DmsService()
        service.claimed = False
        device = dms(service, token=TOKEN)
        for _ in range(2):
            with raises(CloudError, "nobody has claimed") as caught:
                device.ensure()
            assert not device.refused(caught.value)
            assert not device.active()
        assert service.calls == ["provision", "acknowledge", "activate", "activate"]
        service.claimed = True
        device.ensure()
        assert device.active()


def test_a_wish_that_is_refused_for_good_leaves_the_product_as_it_is():
    for error in (CloudError(404, "", "no such product"), CloudError(403, "no_access", "no access")):
        with board():
            service = DmsService()
            device = dms(service, token=TOKEN)
            device.ensure()
            service.trouble("activate", error)
            with raises(CloudError):
                device.activate("lamp")
            assert (device.product(), device.active()) == ("thermometer", True)
            assert "wanted" not in stored()
            del service.calls[:]
            device.ensure()
            assert service.calls == []


def test_a_wish_before_the_device_is_claimed_is_kept():
    with board():
        service = DmsService()
        service.claimed = False
        device = in_state(COMPLETE, service)
        with raises(CloudError):
            device.activate("lamp")
        service.claimed = True
        device = dms(service)
        device.ensure()
        assert (device.product(), service.product) == ("lamp", "lamp")


def test_an_activation_whose_answer_was_lost_is_repeated_for_the_product_that_was_wanted():
    for after in (False, True):
        with board():
            service = DmsService()
            device = dms(service, token=TOKEN)
            device.ensure()
            service.trouble("activate", NetError("no answer"), after)
            with raises(NetError):
                device.activate("lamp")
            assert device.product() == "thermometer", "until the server has said so"
            device = dms(service)
            device.ensure()
            assert (device.product(), service.product) == ("lamp", "lamp")
            service.trouble("activate", NetError("no answer"), after)
            with raises(NetError):
                device.activate("thermometer")
            device.activate("lamp")
            assert (device.product(), service.product) == ("lamp", "lamp")
            assert "wanted" not in stored()


def test_an_activation_that_the_server_has_lost_is_made_again():
    with board():
        service = DmsService()
        device = dms(service, token=TOKEN)
        device.ensure()
        service.product = None
        with raises(CloudError) as caught:
            device.cloud.target()
        assert not device.refused(caught.value)
        assert not device.active()
        device.ensure()
        assert device.active()
        assert service.product == "thermometer"


def test_a_credential_that_the_server_doesn_t_know_any_more_is_no_reason_to_loop():
    with board() as sim:
        service = DmsService()
        device = dms(service, token=TOKEN)
        device.ensure()
        service.credential = None
        before = sim.operations
        del service.calls[:]
        with printed() as lines:
            for _ in range(3):
                with raises(CloudError) as caught:
                    device.cloud.target()
                assert caught.value.status == 401
                assert not device.refused(caught.value)
                device.ensure()
        assert len([line for line in lines if "reset-credentials and a new token" in line]) == 1
        assert service.calls == ["target"] * 3
        assert (device.get_provision_status(), sim.operations) == (COMPLETE, before)
        device.forget()
        service.replace_token(OTHER_TOKEN)
        device.provision(OTHER_TOKEN)
        device.ensure()
        device.cloud.target()
        assert is_complete(device, service)


def test_other_refusals_say_nothing_of_the_standing():
    with board():
        device = dms(DmsService(), token=TOKEN)
        device.ensure()
        for error in (NetError("x"), CloudError(403, "", ""), CloudError(409, "", ""), CloudError(500, "", "")):
            assert not device.refused(error)
        assert device.active()


def test_what_was_forgotten_starts_from_the_beginning_but_keeps_product_and_name():
    with board():
        service = DmsService()
        device = dms(service, token=TOKEN)
        device.ensure()
        device.activate("lamp")
        service.name = "Kitchen"
        device.forget()
        for one in (device, dms(service, token=TOKEN)):
            assert one.get_provision_status() == INCOMPLETE_AND_NO_TOKEN, "the factory record's token is spent"
            assert one.product() == "lamp"
            assert not one.active()
        assert one.cloud.credential is None and device.cloud.credential is None
        assert "CREDENTIAL" not in json.dumps(stored()) and TOKEN not in json.dumps(stored())
        service.replace_token(OTHER_TOKEN)
        one.provision(OTHER_TOKEN)
        one.ensure()
        assert (service.product, service.name) == ("lamp", "Kitchen")


def test_before_anything_is_spent_forgetting_leaves_nothing():
    for state in (0, 1, 2):
        with board():
            device = in_state(state, DmsService())
            device.forget()
            assert stored() is None
            assert device.get_provision_status() == INCOMPLETE_AND_NO_TOKEN


# tokens in the factory record


def test_the_factory_record_s_token_counts_once():
    with board():
        service = DmsService()
        device = dms(service, token=TOKEN)
        assert device.get_provision_status() == INCOMPLETE_AND_HAVE_TOKEN
        device.provision()
        assert is_complete(device, service)
        assert TOKEN not in json.dumps(stored())
        device.forget()
        with raises(CloudError, "no provisioning token"):
            dms(service, token=TOKEN).provision()
        service.replace_token(OTHER_TOKEN)
        dms(service, token=OTHER_TOKEN).provision()
        assert is_complete(dms(service), service)


def test_a_token_that_was_typed_comes_before_the_factory_record_s():
    with board():
        service = DmsService()
        service.token = OTHER_TOKEN
        device = dms(service, token=TOKEN)
        with raises(CloudError):
            device.provision()
        device.provision(OTHER_TOKEN)
        assert is_complete(device, service)
        assert "spent" not in stored()


def test_a_factory_record_with_a_wrong_token_or_uuid_is_refused():
    upper_case = "A" * 8 + "-0000" * 3 + "-" + "0" * 12
    for record in ({"token": "a b"}, {"token": 5}, {"uuid": "x"}, {"uuid": 5}, {"uuid": upper_case}):
        with raises(FactoryError, "write it again"):
            dms(DmsService(), **record)


# the uuid


def test_the_uuid_follows_from_the_serial():
    with board():
        service = DmsService()
        dms(service, token=TOKEN).provision()
        assert service.uuid == "a3f26e1c-ffec-8954-b7de-22cdce7fee7a"


def test_the_factory_record_s_uuid_comes_first():
    given = "6fa1c0de-2c4b-8d1e-9a30-0d2b5e7f9c11"
    with board():
        service = DmsService()
        dms(service, token=TOKEN, uuid=given).provision()
        assert service.uuid == given


# lost and doubled answers


def test_an_answer_that_got_lost_costs_one_more_credential():
    with board():
        service = DmsService()
        service.trouble("provision", NetError("no answer"), after=True)
        device = dms(service)
        with raises(NetError):
            device.provision(TOKEN)
        assert device.get_provision_status() == INCOMPLETE_AND_HAVE_TOKEN
        device.provision()
        assert service.credential == "CREDENTIAL2"
        assert is_complete(device, service)


def test_an_acknowledgement_whose_answer_was_lost_is_repeated():
    with board():
        service = DmsService()
        service.trouble("acknowledge", NetError("no answer"), after=True)
        with raises(NetError):
            dms(service).provision(TOKEN)
        device = dms(service)
        assert device.get_provision_status() == COMPLETE_BUT_NO_ACK
        device.provision()
        assert service.calls == ["provision", "acknowledge", "acknowledge"]
        assert is_complete(device, service)


def test_a_credential_that_a_later_answer_replaced_is_dropped_and_the_token_is_kept():
    for factory in (None, TOKEN):
        with board():
            service = DmsService()
            service.trouble("acknowledge", NetError("no answer"))
            record = {"token": factory} if factory else {}
            device = dms(service, **record)
            with raises(NetError):
                device.provision(None if factory else TOKEN)
            service.provision(TOKEN, service.uuid)
            with raises(CloudError, "replaced") as caught:
                device.provision()
            assert not device.refused(caught.value), "not at once: with a pause"
            for one in (device, dms(service, **record)):
                assert one.get_provision_status() == INCOMPLETE_AND_HAVE_TOKEN
            one.provision()
            assert service.credential == "CREDENTIAL3"
            assert is_complete(one, service)


def test_a_token_that_is_refused_is_kept_and_the_refusal_said():
    for status, code in ((403, "token_unknown"), (403, "token_expired"), (409, "token_used_up"), (429, ""), (500, "")):
        with board():
            service = DmsService()
            service.trouble("provision", CloudError(status, code, "the server's words"))
            device = dms(service)
            with raises(CloudError, "the server's words") as caught:
                device.provision(TOKEN)
            assert caught.value.status == status
            assert device.get_provision_status() == INCOMPLETE_AND_HAVE_TOKEN
            device.provision()
            assert is_complete(device, service)


# NVS: whom a record belongs to, what else may be in it, full, cut


class _CheckedCloud(DmsCloud):
    """Notes what NVS held when the driver was told to use a credential."""

    stored_then = None

    def use(self, credential):
        if credential:
            self.stored_then = stored()["credential"], stored()["acked"]
        super().use(credential)


def test_a_credential_is_in_nvs_before_it_is_used():
    with board():
        cloud = _CheckedCloud(DmsService())
        device = GeckoDms(identity(service="gecko_dms", token=TOKEN), cloud)
        device.provision()
        assert cloud.stored_then == ("CREDENTIAL1", False)


def test_a_credential_is_not_used_for_another_serial_uuid_or_server():
    for change in (
        {"server": "https://other.example"},
        {"serial": "THERM00000000000002"},
        {"uuid": "6fa1c0de-2c4b-8d1e-9a30-0d2b5e7f9c11"},
    ):
        with board():
            service = DmsService()
            dms(service, token=TOKEN).ensure()
            moved = dms(service, **change)
            assert moved.get_provision_status() == INCOMPLETE_AND_NO_TOKEN
            assert moved.cloud.credential is None
            service.replace_token(OTHER_TOKEN)
            moved.provision(OTHER_TOKEN)
            moved.ensure()
            assert moved.active()


def test_a_record_of_any_form_is_survived():
    origin = {"serial": "THERM00000000000001", "service": "gecko_dms", "server": "http://127.0.0.1:8000"}
    with board():
        dms(DmsService(), token=TOKEN).provision()
        origin["uuid"] = stored()["uuid"]
    odd = ([], {}, {"credential": "x"}, {"acked": True}, {"credential": 5, "acked": True}, {"credential": "a b"})
    odd += ({"credential": "a\nb"}, {"credential": "x" * 129}, {"token": 5}, {"token": "a b"}, {"thing": "../x"})
    odd += ({"wanted": []}, {"product": "a/b"}, {"named": {}}, {"spent": 1}, {"acked": 1, "credential": "c"})
    for content in odd:
        with board():
            if isinstance(content, dict):
                content.update(origin)
            Store().save("dms", content)
            service = DmsService()
            device = dms(service, token=TOKEN)
            for _ in range(2):
                try:
                    device.ensure()
                except CloudError as error:
                    assert error.status == 401, "a credential that isn't the server's"
            assert device.active(), content
            assert is_complete(device, service)


class full_at:
    """`with full_at(number) as nvs:` NVS refuses every write from this one on; `nvs.writes` are those that it took."""

    def __init__(self, number):
        self._number = number
        self.writes = 0

    def __enter__(self):
        self._real = esp32.NVS
        full = self

        class NVS(self._real):
            def set_blob(self, key, value):
                if full.writes >= full._number:
                    raise OSError(-4357)  # ESP_ERR_NVS_NOT_ENOUGH_SPACE
                full.writes += 1
                super().set_blob(key, value)

        esp32.NVS = NVS
        phases.handles.clear()
        return self

    def __exit__(self, error_type, error, trace):
        esp32.NVS = self._real
        phases.handles.clear()
        return False


def _writes():
    """How many writes it takes to come from nothing to an activated device with a name that is moved once."""
    with board(), full_at(99) as nvs:
        _whole_life(Named(identity(service="gecko_dms"), DmsCloud(DmsService()), "Thermometer"))
        return nvs.writes


def _whole_life(device):
    device.recall()
    device.provision(TOKEN)
    device.ensure()
    device.activate("lamp")


def test_a_write_that_fails_changes_nothing_and_the_next_call_goes_on():
    total = _writes()
    assert total == 7
    for number in cuts(total):
        with board():
            service = DmsService()
            device = Named(identity(service="gecko_dms"), DmsCloud(service), "Thermometer")
            for again in range(2):
                with full_at(0 if again else number), raises(StateError, "full"):
                    _whole_life(device)
                sent = device.cloud.credential
                assert sent is None or sent == stored()["credential"], "nothing is used that isn't kept"
            _goes_on(service)


def test_a_full_nvs_stops_it_before_anything_is_sent():
    with board():
        fill_nvs()
        service = DmsService()
        with raises(StateError, "NVS is full"):
            dms(service).provision(TOKEN)
        assert service.calls == []


def _goes_on(service):
    """After a reset everything that was begun is finished, whether the token is given again or not."""
    device = dms(service, "Thermometer")
    if device.get_provision_status() == INCOMPLETE_AND_NO_TOKEN:
        device.provision(TOKEN)
    device.ensure()
    assert device.active() and is_complete(device, service)
    assert service.name == "Thermometer"
    device.activate("lamp")
    device = dms(service, "Thermometer")
    assert (device.product(), service.product) == ("lamp", "lamp")
    assert "wanted" not in stored()


def test_a_power_cut_anywhere_is_made_good_by_the_next_call():
    with board() as sim:
        _whole_life(dms(DmsService(), "Thermometer"))
        total = sim.operations
    for number in cuts(total):
        moments = ("before", "middle", "after")
        for moment in moments if os.getenv("WHOLE") else moments[number % 3 :][:1]:
            with board() as sim:
                service = DmsService()
                sim.settings["cuts"] = [{"operation": number, "moment": moment, "seed": number}]
                with raises(Ended, "cut"):
                    _whole_life(dms(service, "Thermometer"))
                attach(sim.path)
                _goes_on(service)
                assert service.calls.count("provision") <= 2, (number, moment)


# what is said


class printed:
    """`with printed() as lines:` collects what the board prints."""

    def __enter__(self):
        self._real = builtins.print
        self.lines = []
        builtins.print = lambda line, end="": self.lines.append(line[len("tk: ") :])
        return self.lines

    def __exit__(self, error_type, error, trace):
        builtins.print = self._real
        return False


def test_no_token_and_no_credential_is_ever_said():
    with board(), printed() as lines:
        service = DmsService()
        device = dms(service, token=TOKEN)
        for verb in ("provision", "acknowledge", "activate", "rename"):
            for error in (NetError("no answer"), CloudError(401, "", "no"), CloudError(403, "", "no")):
                service.trouble(verb, error)
        for _ in range(15):
            try:
                device.ensure()
            except (NetError, CloudError) as error:
                lines.append(str(error))
                device.refused(error)
            lines.append(json.dumps(device.describe()))
        assert device.active()
        service.credential = None
        device.refused(CloudError(401, "", "no"))
        device.forget()
        lines.append(json.dumps(device.describe()))
        with raises(CloudError) as caught:
            device.provision("%s is no token" % TOKEN)
        lines.append(str(caught.value))
    assert len(lines) > 30
    for line in lines:
        assert TOKEN not in line and "CREDENTIAL" not in line, line


def test_the_status_says_what_stands_where():
    for state, word in enumerate(("no token", "not provisioned yet", "not acknowledged yet", "provisioned")):
        with board():
            assert in_state(state, DmsService()).describe()["state"] == word
    with board():
        device = dms(DmsService(), token=TOKEN)
        device.ensure()
        told = device.describe()
        assert (told["state"], told["thing"], told["product"]) == ("activated", THING, "thermometer")
        assert (told["service"], told["server"]) == ("gecko_dms", "http://127.0.0.1:8000")
