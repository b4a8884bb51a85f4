"""The production line: a board on a port becomes a flashed, verified, tested and labelled device.

Which step is done is the journal's word alone; a step that is cut off is done again.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from thermokeeper.errors import ToolError
from thermokeeper.factory import label, selftest
from thermokeeper.factory.journal import BatchDone, Journal
from thermokeeper.factory.lock import alone
from thermokeeper.factory.ports import BoardPort
from thermokeeper.factory.stock import Stock
from thermokeeper.factory.units import Unit
from thermokeeper.files import write_bytes

Say = Callable[[str], None]
_READING_S = 60  # from reset to the first reading; a board takes about ten seconds


class Line:
    """Makes boards of one batch; any thread may call it."""

    def __init__(
        self, journal: Journal, batch: str, stock: Stock, labels: Path, say: Say, limit_s: float = _READING_S
    ) -> None:
        self._journal = journal
        self._batch = batch
        self._stock = stock
        self._labels = labels
        self._say = say
        self._limit_s = limit_s

    def make(self, port: BoardPort) -> Unit:
        """Whatever is still to do for the board on this port, and who it is; ToolError after a failure, noted."""
        unit = self._journal.take(self._batch, port.identify(self._stock.chip))
        steps: list[tuple[str, Callable[[BoardPort, Unit], None]]] = [
            ("flashed", self._flash),
            ("verified", self._verify),
            ("tested", self._test),
            ("labelled", self._label),
        ]
        if len(self._journal.steps(unit.serial).keys() & {step for step, _ in steps}) == len(steps):
            self._say(f"{port.name}: {unit.serial} was made already")
        for step, work in steps:
            if step in self._journal.steps(unit.serial):
                continue
            try:
                work(port, unit)
            except ToolError as error:
                self._journal.trouble(unit.serial, step, str(error))
                raise ToolError(f"{unit.serial} isn't {step}: {error}") from None
            self._journal.record(unit.serial, step)
            self._say(f"{port.name}: {unit.serial} {step}")
        return unit

    def _flash(self, port: BoardPort, unit: Unit) -> None:
        port.write(self._stock.pieces(unit))

    def _verify(self, port: BoardPort, unit: Unit) -> None:
        record = self._stock.record(unit)
        if port.read(self._stock.record_offset, len(record)) != record:
            reason = "the factory record in its flash isn't the one that was written"
            self._journal.take_back(unit.serial, "flashed", reason)
            raise ToolError(reason)

    def _test(self, port: BoardPort, unit: Unit) -> None:
        plan = self._stock.plan
        selftest.check(port.console(self._limit_s), plan.product, unit.serial, plan.expect)

    def _label(self, port: BoardPort, unit: Unit) -> None:
        plan = self._stock.plan
        made = label.label_of(plan, unit)
        write_bytes(self._labels / f"{unit.serial}.svg", label.svg(made))
        write_bytes(self._labels / f"{unit.serial}.pdf", label.pdf([made]))


def run(line: Line, ports: Iterable[BoardPort], folder: Path, say: Say) -> int:
    """A board on each port, all at once; how many failed. A port whose batch is used up isn't a failure."""
    ports = list(ports)

    def one(port: BoardPort) -> bool:
        try:
            with alone(folder, port.name):
                line.make(port)
            return True
        except BatchDone as done:
            say(f"{port.name}: nothing to do: {done}")
            return True
        except ToolError as error:
            text = str(error)
            say(text if text.startswith(port.name) else f"{port.name}: {text}")
            return False

    with ThreadPoolExecutor(len(ports), thread_name_prefix="port") as pool:
        return sum(not made for made in pool.map(one, ports))
