"""What a board of ours does apart from measuring: knows who it is, keeps on the network and up to date.

The thermometer (`app`) is a station that measures; safe mode (`safe`) is one that doesn't, and so still updates when
measuring is what breaks. It must not know sensors or readings.
"""

import sys
import time

from keeper import console, device, identity
from keeper.console import say
from keeper.errors import KeeperError
from keeper.lineinput import LineInput
from keeper.slots import Slots
from thermometer import networks
from thermometer.clock import Clock, Uptime
from thermometer.settings import settings_from
from thermometer.wifi import Wifi

THING_NAME = "ThermometerDevice"
_WATCHDOG_MS = 60_000  # longer than a name look-up that fails, the longest wait without a pulse
_TRIAL_MS = 10 * 60_000
_STEADY_MS = 5 * 60_000  # a start that lasts so long is no part of a crash loop
_STEP_MS = 100
SECRETS = ("provision", "wifi")  # what is typed behind these commands isn't shown


class Station:
    """`board` is what `hardware.build` returns. The life cycle's product: healthy, last_words, before_reset, reset."""

    def __init__(self, board):
        self._board = board
        self._last_words = board.last_words()
        self._trial_deadline_ms = None
        self._lifecycle = None
        self._wifi = None
        self._commands = None
        self._steady = False
        self._told_why = False
        board.start_watchdog(_WATCHDOG_MS)
        self._slots = Slots()
        if self._slots.on_trial():
            self._trial_deadline_ms = time.ticks_add(time.ticks_ms(), _TRIAL_MS)
        self.uptime = Uptime()
        self.clock = Clock(self.uptime, board.set_rtc)
        self.identity = self._identify()
        self.settings = settings_from(self.identity.extra if self.identity else {})
        self._typed = LineInput(sys.stdin, console.echo, SECRETS)
        console.share(self._typed.shown)

    def begin(self):
        """Settle after the boot; without an identity there is nothing to activate."""
        if self.identity:
            self._join()

    def _join(self):
        self._wifi = Wifi(self._board.wlan, _networks(), self.pulse, say)
        self._needs_time = self.identity.server.startswith("https:")
        try:
            self._lifecycle = device.assemble(
                self.identity,
                self._slots,
                self,
                self.pulse,
                self.clock.utc,
                self.clock.learn,
                THING_NAME,
                self.settings["sync_ms"],
            )
        except KeeperError as error:
            say("state", str(error))

    def step(self):
        """One turn: at most one exchange with the server, then a short wait."""
        self.pulse()
        if self._typed.whole:
            self._answer()
        if self._lifecycle and self._wifi.poll():
            self.clock.keep()
            # A certificate can't be judged without the time.
            if not self._needs_time or self.clock.now() is not None:
                self.online()
            elif not self._told_why:
                self._told_why = True
                say("wait", "the time isn't known yet, and without it no https server can be trusted")
        if not self._steady and self.uptime.ms() > _STEADY_MS:
            self._steady = True
            self._board.count_starts_anew()
        time.sleep_ms(_STEP_MS)

    def _answer(self):
        try:
            if self._commands is None:
                # A board that nobody types to needs the room for something else.
                from keeper.commands import Commands
                from thermometer.commands import StationCommands

                self._asked = StationCommands(self, self._board, self._slots, self._lifecycle, self._wifi)
                self._commands = Commands(self._typed, self._asked.table())
        except (MemoryError, KeeperError) as error:
            self._typed.take()
            say("refused", str(error) or "there is not enough memory just now")
            return
        self._commands.step()
        if self._asked.reset_wanted:
            self.reset()

    def online(self):
        """What is to do while the server can be reached."""
        self._lifecycle.step()

    def pulse(self):
        """Called by whatever waits, at least four times a second: keeps the watchdog quiet.

        A trial that has not passed in time isn't fed any more, whatever it is doing: the reset leaves it. What is typed
        is taken here, but what it asks for is done in `step`, never in the middle of a download.
        """
        if self._trial_deadline_ms is None or time.ticks_diff(self._trial_deadline_ms, time.ticks_ms()) > 0:
            self._board.feed()
        self._typed.poll()

    def run(self):
        """Live."""
        while True:
            self.step()

    # what the life cycle asks of a product

    def healthy(self):
        """What is still missing; noted as well, for the boot after a trial that failed."""
        missing = self.missing()
        self._board.note("trial: " + missing if missing else "")
        if not missing:
            self._trial_deadline_ms = None
        return missing

    def missing(self):
        """What this release hasn't shown yet."""
        return ""

    def last_words(self):
        """Why the board started, and what the boot before this one noted."""
        return self._last_words

    def before_reset(self):
        """This reset is meant: it doesn't count as a crash."""
        self._board.note("")
        self._board.count_starts_anew()

    def reset(self):
        """Restart the board."""
        self._board.reset()

    def _identify(self):
        try:
            found = identity.read()
        except KeeperError as error:
            say("identity", str(error))
            return None
        say("identity", "%s, serial %s" % (found.product, found.serial))
        return found


def _networks():
    """The Wi-Fi networks that NVS holds."""
    try:
        return networks.load()
    except KeeperError as error:
        say("wifi", str(error))
        return []
