"""What a board of ours does apart from measuring: knows who it is, keeps on the network and up to date.

The thermometer (`app`) is a station that measures; safe mode (`safe`) is one that doesn't, and so still updates when
measuring is what breaks. It must not know sensors or readings.
"""

import gc
import time

from keeper import uptime
from keeper.console import say
from keeper.phases import end, forget
from thermometer.station.clock import Clock
from thermometer.station.link import Link
from thermometer.station.typed import Typed

_WATCHDOG_MS = 60_000  # longer than a name look-up that fails, the longest wait without a pulse
_TRIAL_MS = 10 * 60_000
_STEADY_MS = 5 * 60_000  # a start that lasts so long is no part of a crash loop
_STEP_MS = 100
_LOOK_MS = 120_000  # at what may have gone wrong for good
_SHORT_TURNS = 100  # that ended for want of memory, one after the other: then the board restarts


class Station:
    """`board` is what `hardware.build` returns. The life cycle's product: healthy, last_words, before_reset, reset."""

    def __init__(self, board):
        self.board = board
        self.identity = None
        self.lifecycle = None
        self.link = Link(board.wlan, self.pulse)
        self.clock = Clock(board.set_rtc)
        self._last_words = board.last_words()
        self.trial_deadline_ms = None
        self._typed = Typed(self._commands)
        self._busy = False
        self._steady = False
        self._told_why = False
        self.noted = ""  # of a trial, see `thermometer.proving`
        self.watched = {}  # of `thermometer.watching`
        self._begun_ms = uptime.ms()
        self._look_ms = self._begun_ms + _LOOK_MS
        self.settings = None
        board.start_watchdog(_WATCHDOG_MS)

    def settle(self):
        """Who the board is, what runs, and what follows from it; without an identity there is nothing to activate."""
        from thermometer import settling

        settling.settle(self)
        if self.lifecycle:
            self.lifecycle.begin()
            self.clock.ask("begin_at", self.lifecycle.created)
        self.board.note("")  # NVS has what has to be told of it
        end("thermometer.settling", "keeper.services.gadgetkeeper.joining", "keeper.services.gecko_dms.joining")

    def begin_trial(self):
        """The release that runs has so much time to prove itself."""
        self.trial_deadline_ms = time.ticks_add(time.ticks_ms(), _TRIAL_MS)

    def step(self):
        """One turn: at most one exchange with the server, then a short wait."""
        self.pulse()
        self._typed.answer()
        if self._typed.reset_wanted:
            self.reset()
        if self.trial_deadline_ms is not None:
            from thermometer import proving

            proving.look(self)
        if self.lifecycle and self.link.poll():
            self._go_online()
        if not self._steady and self.lived_ms() > _STEADY_MS:
            self._steady = True
            self.lasts()
        if uptime.ms() > self._look_ms:
            self._look()
        time.sleep_ms(_STEP_MS)

    def lived_ms(self):
        """How long this life has lasted."""
        return uptime.ms() - self._begun_ms

    def lasts(self):
        """This start is no part of a crash loop."""
        self.board.count_starts_anew()

    def online(self):
        """What is to do while the server can be reached."""
        self.lifecycle.step()

    def pulse(self):
        """Called by whatever waits, at least four times a second: keeps the watchdog quiet.

        A trial that has not passed in time isn't fed any more, whatever it is doing: the reset leaves it. What is typed
        is taken here, but what it asks for is done in `step`, never in the middle of a download.
        """
        if self.trial_deadline_ms is None or time.ticks_diff(self.trial_deadline_ms, time.ticks_ms()) > 0:
            self.board.feed()
        self._typed.poll(self._busy)

    def run(self):
        """Live."""
        short = 0
        while True:
            try:
                self.step()
                short = 0
            except MemoryError:
                short += 1
                if short > _SHORT_TURNS:
                    raise
                gc.collect()
                if short == 1:
                    say("memory", "there is not enough for this turn: the next one may have it")
                time.sleep_ms(_STEP_MS)

    # what the life cycle asks of a product

    def healthy(self):
        """What is still missing, now that the server has answered."""
        return self.missing(True)

    def missing(self, answered=False):
        """What this release hasn't shown yet. answered: the server has just taken our key."""
        return ""

    def last_words(self):
        """Why the board started, and what the boot before this one noted."""
        return self._last_words

    def blameless(self):
        """Whether the trial before this start lacked nothing but the server, as `proving` has noted it."""
        return "trial: server " in self._last_words

    def keep(self):
        """Keep over a restart what couldn't be delivered."""

    def before_reset(self):
        """This reset is meant: it doesn't count as a crash."""
        self.board.note("")
        self.board.count_starts_anew()

    def reset(self):
        """Restart the board."""
        self.board.reset()

    def _go_online(self):
        self.clock.keep(self.link.gateway)
        # A certificate can't be judged without the time.
        if self.identity.server.startswith("https:") and not self.clock.can_judge():
            if not self._told_why:
                self._told_why = True
                say("wait", "the time isn't known yet, and without it no https server can be trusted")
            return
        self._busy = True
        try:
            self.online()
        finally:
            self._busy = False
            self.clock.rest()

    def _commands(self):
        """What answers the commands: only while somebody types."""
        from keeper.board.slots import Slots
        from thermometer.typing import StationCommands

        return StationCommands(self, self.board, Slots(), self.lifecycle, self.link)

    def _look(self):
        from thermometer import watching

        self._look_ms = uptime.ms() + _LOOK_MS
        try:
            watching.look(self)
        finally:
            forget("thermometer.watching")
