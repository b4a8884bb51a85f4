"""A station finds out who its board is, what runs, and what follows from it; it leaves that in the station.

Each step's code is gone from memory before the next one's comes.
"""

from keeper.console import say
from keeper.errors import KeeperError, SlotError
from keeper.phases import forget
from thermometer.settling.settings import is_host, settings_from

_THING_NAME = "ThermometerDevice"
_KEPT = ("secret", "token", "uuid")  # of the factory record, once the board has settled


def settle(station):
    """Settle a `Station`; without an identity there is nothing to activate."""
    record = {}
    try:
        if _on_trial():
            station.begin_trial()
        station.pulse()  # after each step: the first reading may be there
        station.identity = _identity()
        station.pulse()
        record = station.identity.extra
        say("identity", "%s, serial %s" % (station.identity.product, station.identity.serial))
    except SlotError as error:
        say("slot", str(error))
    except KeeperError as error:
        say("identity", str(error))
    station.settings = settings_from(record)
    station.pulse()
    if station.identity:
        station.clock.checked = station.identity.server.startswith("https:")
        if is_host(record.get("ntp_host")):
            station.clock.ntp_host = record["ntp_host"]
        _assemble(station)
    station.pulse()


def _on_trial():
    from keeper.board.slots import Slots

    try:
        return Slots().on_trial()
    finally:
        forget("keeper.board")


def _identity():
    from keeper.factory import identity

    try:
        return identity.read()
    finally:
        forget("keeper.factory")


def _assemble(station):
    from keeper import assembling

    found, clock = station.identity, station.clock
    try:
        station.lifecycle = assembling.assemble(
            found, station, station.pulse, clock.utc, clock.learn, _THING_NAME, station.settings["sync_ms"]
        )
    except KeeperError as error:
        say("state", str(error))
    finally:
        forget("keeper.assembling")
    found.keep(*_KEPT)
