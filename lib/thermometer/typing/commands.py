"""What can be asked of a station on its serial console: how it stands, its networks, its standing with the service.

Each command does its work at once and answers in a line or a few; KeeperError says why it can't. It must not know how
lines are typed nor how answers are shown. docs/console.md has the list.
"""

from keeper import memory, uptime
from keeper.booting import state_name
from keeper.errors import CommandError, KeeperError, NetError
from keeper.nvs.state import entries

_NETWORKS_LIMIT = 8
_LAST_WORDS = 2  # of `thermometer.safe`
_KEY_LENGTHS = range(8, 64)
_HEX_KEY = 64  # digits of the key itself, which ESP-IDF takes in place of what it is made of


class StationCommands:
    """station: `Station`; board: its hardware; lifecycle: None on a board that can't have one; link: `Link`."""

    def __init__(self, station, board, slots, lifecycle, link):
        self.reset_wanted = False  # for the station, once the answer is out
        self._station = station
        self._board = board
        self._slots = slots
        self._lifecycle = lifecycle
        self._link = link

    def table(self):
        """The commands, as `keeper.commands.Commands` takes them."""
        return (
            ("help", None, "", "this list"),
            ("status", self.status, "[json]", "how the board stands"),
            ("sync", self.sync, "", "look at the server now"),
            ("activate", self.activate, "[CODE]", "activate again; CODE: of a product, for a DMS"),
            ("provision", self.provision, "TOKEN", "give the board a token of a DMS"),
            ("reset-credentials", self.forget, "yes", "forget what the service gave the board"),
            ("wifi", self.wifi, "[SSID [KEY] | forget SSID]", "list, add or forget a network"),
            ("reset", self.reset, "[now]", "restart; now: whatever would be lost"),
        )

    def status(self, words):
        """How the board stands."""
        _expect(words, 0, 0)
        found = self._station.identity
        lifecycle, link, running = self._lifecycle, self._link, self._slots.running
        standing = lifecycle.standing.describe() if lifecycle else {}
        used = entries()
        heap, idf = memory.heap(), memory.idf()
        status = [
            ("serial", found.serial if found else None),
            ("product", standing.get("product", found.product if found else None)),
            ("service", found.service if found else None),
            ("server", found.server if found else None),
            ("state", standing.get("state")),
            ("thing", standing.get("thing")),
            ("release", lifecycle.running[1] if lifecycle else _version()),
            ("slot", running.label),
            ("slot_state", state_name(self._slots.state(running))),
            ("network", link.ssid),
            ("address", self._board.wlan.ifconfig()[0] if link.ssid else None),
            ("synced_s_ago", self._synced_s_ago()),
            ("time", self._station.clock.utc()),
            ("uptime_s", self._station.lived_ms() // 1000),
            ("started", self._station.last_words()),
            ("last_crash", _last_crash()),
            ("heap", "%d of %d" % heap),
            ("idf_memory", "%d free, largest %d, least %d" % idf if idf else None),
            ("nvs_entries", "%d of %d" % used if used else None),
        ]
        shown = [name for name, _ in status]
        return status + [(name, standing[name]) for name in sorted(standing) if name not in shown]

    def sync(self, words):
        """Look at the server now."""
        _expect(words, 0, 0)
        self._living().sync_now()
        if self._link.ssid is None:
            return "the server is asked as soon as there is a network"
        return "the server is asked now"

    def activate(self, words):
        """Activate again, or to a product of a DMS."""
        _expect(words, 0, 1)
        lifecycle = self._living()
        lifecycle.standing.activate(words[0] if words else None)
        lifecycle.sync_now()
        return "activated"

    def provision(self, words):
        """Take a token and use it."""
        _expect(words, 1, 1)
        standing = self._living().standing
        before = standing.describe()["state"]
        self._lifecycle.sync_now()
        try:
            standing.provision(words[0])
        except NetError as error:
            raise CommandError("%s; the token is kept, and used as soon as that works" % error)
        after = standing.describe()["state"]
        return after if after != before else "%s as before; for another token: reset-credentials yes" % after

    def forget(self, words):
        """Forget the credentials: the board begins anew with its service."""
        if words != ["yes"]:
            raise CommandError("the board would have to be let in by its service again; if so: reset-credentials yes")
        lifecycle = self._living()
        lifecycle.standing.forget()
        lifecycle.sync_now()
        return "the credentials are forgotten; the board begins anew with its service"

    def wifi(self, words):
        """List, add or forget networks; one that the board is on stays up until it is lost."""
        if len(words) > 2:
            raise CommandError('too many words; a name or key with spaces stands in "quotes"')
        from thermometer import joining

        known = joining.load()
        if not words:
            names = [network["ssid"] for network in known if isinstance(network.get("ssid"), str)]
            return [("networks", names)]
        ssid = words[1] if words[0] == "forget" and len(words) == 2 else words[0]
        others = [network for network in known if network.get("ssid") != ssid]
        if words[0] == "forget":
            if len(words) == 1 or len(others) == len(known):
                raise CommandError("no such network is stored; wifi lists them")
            self._keep(others)
            return "%s is forgotten; stored: %d" % (ssid, len(others))
        key = words[1] if len(words) == 2 else ""
        if not 1 <= len(ssid.encode()) <= 32:
            raise CommandError("the name of a network has 1 to 32 bytes")
        if key and len(key.encode()) not in _KEY_LENGTHS and not _is_hex_key(key):
            raise CommandError("the key of a network has 8 to 63 characters, or 64 hex digits")
        if len(others) >= _NETWORKS_LIMIT:
            raise CommandError("%d networks are stored, which is the limit; forget one" % len(others))
        self._keep(others + [{"ssid": ssid, "key": key}])
        return "%s is stored%s; stored: %d" % (ssid, "" if key else " as an open network", len(others) + 1)

    def reset(self, words):
        """Restart the board once the answer is out."""
        if words not in ([], ["now"]):
            raise CommandError("reset, or reset now")
        if not words:
            if self._slots.on_trial():
                raise CommandError("this release is on trial, and a reset leaves it; if so: reset now")
            try:
                self._station.before_reset()
            except KeeperError as error:
                raise CommandError("%s; to lose them: reset now" % error)
        else:
            self._board.count_starts_anew()  # no crash either
        self.reset_wanted = True
        return "the board restarts"

    def _synced_s_ago(self):
        """Seconds since the server last gave an answer that was understood, or None."""
        at_ms = self._lifecycle.last_sync_ms if self._lifecycle else None
        return None if at_ms is None else (uptime.ms() - at_ms) // 1000

    def _living(self):
        if not self._lifecycle:
            raise CommandError("this board has no identity that could be used; status tells what it has")
        return self._lifecycle

    def _keep(self, changed):
        from thermometer import joining

        joining.save(changed)
        self._link.use(changed)


def _version():
    """What runs on a board that has no life cycle, or None."""
    from keeper import phases, settling

    try:
        return settling.running()[1]
    finally:
        phases.forget("keeper.settling", "keeper.release")


def _expect(words, least, most):
    if not least <= len(words) <= most:
        raise CommandError("a word is missing" if len(words) < least else "too many words; help shows what it takes")


def _last_crash():
    """What safe mode has kept of an application that kept crashing, or None."""
    from keeper import keeping

    try:
        return str(keeping.load(_LAST_WORDS) or b"", "utf-8") or None
    except (KeeperError, UnicodeError):
        return None


def _is_hex_key(key):
    """Whether it can be a key as WPA2 has it in the end, 32 bytes."""
    return len(key) == _HEX_KEY and all([char in "0123456789abcdefABCDEF" for char in key])
