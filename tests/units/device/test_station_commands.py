"""What a station's commands make of what the service's driver does; their whole lives are tests/lives'."""

from keeper.errors import CloudError, CommandError, NetError
from support import raises
from thermometer.typing.commands import StationCommands
from thermometer.typing.dialogue import _SECRETS


class Life:
    """A life cycle and its standing: a board of a DMS that waits for a token."""

    def __init__(self):
        self.standing = self
        self.state = "no token"
        self.synced = 0
        self.token = None
        self.code = None
        self.trouble = None
        self.last_sync_ms = None

    def describe(self):
        return {"state": self.state}

    def sync_now(self):
        self.synced += 1

    def provision(self, token):
        if self.state == "provisioned":
            return
        self.token = token
        if self.trouble:
            raise self.trouble
        self.state = "provisioned"

    def activate(self, code):
        self.code = code

    def forget(self):
        self.state = "no token"


class Slot:
    label = "ota_0"
    running = property(lambda self: self)

    def header_offset(self):
        return None

    def on_trial(self):
        return self.trial

    trial = False


class Station:
    """The station and its hardware."""

    def __init__(self):
        self.before = []
        self.trouble = None
        self.life = Life()
        self.slots = Slot()
        self.ssid = "lab"
        self.commands = StationCommands(self, self, self.slots, self.life, self)

    def before_reset(self):
        if self.trouble:
            raise self.trouble
        self.before.append("delivered")

    def count_starts_anew(self):
        self.before.append("counted")


def test_a_token_is_used_at_once():
    station = Station()
    assert station.commands.provision(["abc"]) == "provisioned"
    assert station.life.token == "abc" and station.life.synced == 1
    assert "as before" in station.commands.provision(["def"])
    assert station.life.token == "abc"


def test_a_token_that_can_t_be_used_yet_is_kept_and_one_that_is_refused_is_not_said_to_be():
    station = Station()
    station.life.trouble = NetError("no network")
    with raises(CommandError, "no network; the token is kept"):
        station.commands.provision(["abc"])
    assert station.life.synced == 1
    station.life.trouble = CloudError(403, "forbidden", "no such token")
    with raises(CloudError, "no such token"):
        station.commands.provision(["abc"])


def test_activation_takes_a_code_or_none():
    station = Station()
    station.commands.activate(["lamp"])
    assert station.life.code == "lamp"
    station.commands.activate([])
    assert station.life.code is None and station.life.synced == 2


def test_credentials_are_forgotten_only_when_that_is_meant():
    station = Station()
    station.life.state = "provisioned"
    for words in ([], ["no"], ["yes", "yes"]):
        with raises(CommandError, "reset-credentials yes"):
            station.commands.forget(words)
    assert station.life.state == "provisioned" and not station.life.synced
    station.commands.forget(["yes"])
    assert station.life.state == "no token" and station.life.synced == 1


def test_sync_says_when_it_can_be():
    station = Station()
    assert "now" in station.commands.sync([])
    station.ssid = None
    assert "as soon as there is a network" in station.commands.sync([])


def test_a_reset_waits_for_the_trial_and_for_readings_unless_it_is_to_be_now():
    station = Station()
    station.slots.trial = True
    with raises(CommandError, "on trial"):
        station.commands.reset([])
    station.slots.trial = False
    station.trouble = NetError("3 readings")
    with raises(CommandError, "3 readings; to lose them: reset now"):
        station.commands.reset([])
    assert not station.commands.reset_wanted and not station.before
    station.commands.reset(["now"])
    assert station.commands.reset_wanted and station.before == ["counted"]
    station = Station()
    station.commands.reset([])
    assert station.commands.reset_wanted and station.before == ["delivered"]


def test_each_command_stands_in_the_table_once_and_what_is_secret_is_one():
    names = [row[0] for row in Station().commands.table()]
    assert sorted(names) == sorted(set(names))
    for name in _SECRETS:
        assert name in names
