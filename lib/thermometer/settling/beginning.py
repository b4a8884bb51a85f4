"""A station finds out who its board is, what runs, and what follows from it; it leaves that in the station."""

from keeper import settling
from keeper.console import say
from keeper.errors import KeeperError, SlotError
from keeper.factory import identity
from thermometer.settling.settings import settings_from

_THING_NAME = "ThermometerDevice"
_KEPT = ("secret", "token", "uuid")  # of the factory record, once the board has settled


def settle(station):
    """Settle a `Station`; without an identity there is nothing to activate."""
    record = {}
    try:
        if settling.on_trial():
            station.begin_trial()
        station.identity = identity.read()
        record = station.identity.extra
        say("identity", "%s, serial %s" % (station.identity.product, station.identity.serial))
    except SlotError as error:
        say("slot", str(error))
    except KeeperError as error:
        say("identity", str(error))
    station.settings = settings_from(record)
    station.pulse()
    if station.identity:
        _assemble(station)
    station.pulse()


def _assemble(station):
    found, clock = station.identity, station.clock
    try:
        station.lifecycle = settling.assemble(
            found, station, station.pulse, clock.utc, clock.learn, _THING_NAME, station.settings["sync_ms"]
        )
    except KeeperError as error:
        say("state", str(error))
    found.keep(*_KEPT)
