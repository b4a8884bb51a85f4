"""Safe mode: a station for a release that keeps crashing. It updates, measures if it can, and ends after a time.

main.py starts it instead of the application after three starts that didn't last. What measures is imported only once
the station lives, and whatever it raises costs the readings, not the station. After half an hour the board restarts,
and the application has three more starts; after two such rounds the other slot gets a trial.
"""

from keeper.console import say
from keeper.errors import KeeperError
from keeper.phases import forget
from thermometer.station import hardware
from thermometer.station.station import Station

_LASTS_MS = 30 * 60_000
LAST_WORDS = 2  # number of the record in `data`; `thermometer.typing` knows it, too


class SafeMode(Station):
    """Never proves a release on trial, and doesn't count as a start that lasted."""

    def __init__(self, board):
        super().__init__(board)
        self._measuring = None

    def settle(self):
        super().settle()
        self.board.note(self.last_words().partition("; ")[2])  # should the other slot get a trial, it is the reason
        if self.lifecycle:
            self.lifecycle.trouble = "safe mode, the application keeps crashing: " + self.last_words()
        self._keep_words()
        self._guarded(self._begin)

    def missing(self, answered=False):
        return "safe mode"

    def lasts(self):
        pass

    def pulse(self):
        super().pulse()
        if self._measuring:
            self._guarded(self._measuring[0].poll)

    def online(self):
        super().online()
        if self._measuring:
            self._guarded(self._measuring[1].step)

    def step(self):
        super().step()
        if self.lived_ms() > _LASTS_MS:
            say("safe", "the application is tried again")
            self.reset()

    def _keep_words(self):
        """What the application died of outlives power cuts: `status` on the console has it."""
        from keeper import keeping

        try:
            keeping.save(LAST_WORDS, self.last_words().encode())
        except KeeperError as error:
            say("safe", str(error))
        finally:
            forget("keeper.keeping")

    def _begin(self):
        from thermometer.measuring.outbox import Outbox
        from thermometer.measuring.reporter import Reporter
        from thermometer.measuring.sampler import Sampler
        from thermometer.measuring.sensor import Sensor

        outbox = Outbox()
        sampler = Sampler(Sensor(self.board.bus, self.board.line), outbox, self.settings["period_ms"])
        self._measuring = sampler, Reporter(outbox, self.clock, self.lifecycle, self.settings["report_ms"])

    def _guarded(self, do):
        """Nothing that measuring raises ends safe mode: it is what the application may have died of."""
        try:
            do()
        except Exception as error:
            self._measuring = None
            say("safe", "doesn't measure: %s: %s" % (type(error).__name__, error))


def run():
    """Run until the board restarts."""
    say("safe", "the application keeps crashing: updates are looked after")
    station = SafeMode(hardware.build())
    station.settle()
    station.run()
