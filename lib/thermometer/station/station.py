"""What a board of ours does apart from measuring: knows who it is, keeps on the network and up to date.

The thermometer (`app`) is a station that measures; safe mode (`safe`) is one that doesn't, and so still updates when
measuring is what breaks. It must not know sensors or readings.
"""

import time

from keeper import memory
from keeper.console import say
from keeper.errors import KeeperError
from keeper.phases import end
from thermometer.station.clock import Clock, Uptime
from thermometer.station.link import Link
from thermometer.station.typed import Typed

_WATCHDOG_MS = 60_000  # longer than a name look-up that fails, the longest wait without a pulse
_TRIAL_MS = 10 * 60_000
_STEADY_MS = 5 * 60_000  # a start that lasts so long is no part of a crash loop
_STEP_MS = 100
_LOOK_MS = 60_000  # at the memory that is left


class Station:
    """`board` is what `hardware.build` returns. The life cycle's product: healthy, last_words, before_reset, reset."""

    def __init__(self, board):
        self.board = board
        self.identity = None
        self.lifecycle = None
        self.link = Link(board.wlan, self.pulse)
        self.uptime = Uptime()
        self.clock = Clock(self.uptime, board.set_rtc)
        self._last_words = board.last_words()
        self._trial_deadline_ms = None
        self._typed = Typed(self._commands)
        self._busy = False
        self._steady = False
        self._told_why = False
        self._memory = memory.Watch()
        self._look_ms = _LOOK_MS
        self.settings = None
        board.start_watchdog(_WATCHDOG_MS)

    def settle(self):
        """Who the board is, what runs, and what follows from it; without an identity there is nothing to activate."""
        from thermometer import settling

        settling.settle(self)
        if self.lifecycle:
            self.lifecycle.begin()
        end("thermometer.settling", "keeper.services.gadgetkeeper.joining", "keeper.services.gecko_dms.joining")

    def begin_trial(self):
        """The release that runs has so much time to prove itself."""
        self._trial_deadline_ms = time.ticks_add(time.ticks_ms(), _TRIAL_MS)

    def step(self):
        """One turn: at most one exchange with the server, then a short wait."""
        self.pulse()
        self._typed.answer()
        if self._typed.reset_wanted:
            self.reset()
        if self.lifecycle and self.link.poll():
            self._go_online()
        if not self._steady and self.uptime.ms() > _STEADY_MS:
            self._steady = True
            self.board.count_starts_anew()
        if self.uptime.ms() > self._look_ms:
            self._look_at_memory()
        time.sleep_ms(_STEP_MS)

    def online(self):
        """What is to do while the server can be reached."""
        self.lifecycle.step()

    def pulse(self):
        """Called by whatever waits, at least four times a second: keeps the watchdog quiet.

        A trial that has not passed in time isn't fed any more, whatever it is doing: the reset leaves it. What is typed
        is taken here, but what it asks for is done in `step`, never in the middle of a download.
        """
        if self._trial_deadline_ms is None or time.ticks_diff(self._trial_deadline_ms, time.ticks_ms()) > 0:
            self.board.feed()
        self._typed.poll(self._busy)

    def run(self):
        """Live."""
        while True:
            self.step()

    # what the life cycle asks of a product

    def healthy(self):
        """What is still missing; noted as well, for the boot after a trial that failed."""
        missing = self.missing()
        self.board.note("trial: " + missing if missing else "")
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
        self.board.note("")
        self.board.count_starts_anew()

    def reset(self):
        """Restart the board."""
        self.board.reset()

    def _go_online(self):
        self.clock.keep()
        # A certificate can't be judged without the time.
        if self.identity.server.startswith("https:") and self.clock.now() is None:
            if not self._told_why:
                self._told_why = True
                say("wait", "the time isn't known yet, and without it no https server can be trusted")
            return
        self._busy = True
        try:
            self.online()
        finally:
            self._busy = False

    def _commands(self):
        """What answers the commands: only while somebody types."""
        from keeper.board.slots import Slots
        from thermometer.typing import StationCommands

        return StationCommands(self, self.board, Slots(), self.lifecycle, self.link)

    def _look_at_memory(self):
        """A shortage that lasts is mended by a restart, once the readings are delivered."""
        self._look_ms = self.uptime.ms() + _LOOK_MS
        short = self._memory.lasting(self.uptime.ms())
        if not short:
            return
        say("memory", short + ": the board restarts")
        try:
            self.before_reset()
        except KeeperError as error:
            say("memory", "not yet: %s" % error)
            return
        self.board.note("memory: " + short)
        self.reset()
