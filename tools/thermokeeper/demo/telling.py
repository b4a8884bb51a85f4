"""How a demo is told: lines with the board's time and a voice, a bar for a download, and the board retold as it speaks.

It must not know what happens in a story.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from thermokeeper.errors import ToolError
from thermokeeper.simulator.board import Event

STEP_LIMIT_S = 60
_PAUSE_S = 0.15  # after a line, for a person to read
_COLOURS = {"vendor": "magenta", "server": "blue", "owner": "cyan", "board": "green", "forger": "red", "demo": "yellow"}
_LINE = re.compile(r"tk: (?P<topic>\w+): (?P<text>.*)")
_PERCENT = re.compile(r"(\d+)% of (\d+) KiB")


@dataclass
class Telling:
    """The story's voice and its notebook."""

    console: Console
    now_s: float = 0.0  # by the board's time, since power-on
    began_s: float = field(default_factory=time.monotonic)
    steps: list[tuple[str, float]] = field(default_factory=list)

    def line(self, who: str, text: str) -> None:
        self.console.print(f"[dim]{self.now_s:5.1f} s[/]  [{_COLOURS[who]}]{who:<6}[/]  {text}", soft_wrap=True)
        if self.console.is_terminal:
            time.sleep(_PAUSE_S)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start_s = self.now_s
        yield
        self.steps.append((name, self.now_s - start_s))


class Watcher:
    """Reads what the board says, retells it, and waits for lines."""

    def __init__(self, events: Iterator[Event], telling: Telling, power_off: Callable[[], None]) -> None:
        self._events = events
        self._telling = telling
        self._power_off = power_off
        self._bar: tuple[Progress, TaskID] | None = None
        self.longest_gap_s = 0.0
        self._last_reading_s: float | None = None
        self._readings = 0

    def wait_for(self, topic: str, pattern: str, what: str) -> str:
        """Follow the board until it says a line of the topic that matches; the text of that line."""
        return self.wait_until(lambda found, text: found == topic and re.search(pattern, text) is not None, what)

    def wait_until(self, done: Callable[[str, str], bool], what: str) -> str:
        # A board that says nothing is switched off: that ends the waiting for its next line, too.
        limit_s = time.monotonic() + STEP_LIMIT_S
        limit = threading.Timer(STEP_LIMIT_S, self._power_off)
        limit.daemon = True
        limit.start()
        try:
            return self._follow(done, what, limit_s)
        finally:
            limit.cancel()

    def _follow(self, done: Callable[[str, str], bool], what: str, limit_s: float) -> str:
        last = ""
        for event in self._events:
            if time.monotonic() >= limit_s:
                raise ToolError(f"{what} did not happen in {STEP_LIMIT_S} s; the board's last line: {last}")
            self._telling.now_s = event.at_s
            match = _LINE.fullmatch(event.text) if event.kind == "console" else None
            last = event.text or event.kind
            if match:
                self._retell(match["topic"], match["text"], event.at_s)
                if done(match["topic"], match["text"]):
                    return match["text"]
            elif event.kind == "console":
                self._telling.line("board", f"[red]{event.text}[/]")
            elif event.kind == "cut":
                self._telling.line(
                    "board", "[red]the power is gone[/], in the middle of writing a block of flash; and back"
                )
                self._end_bar()
            elif event.kind not in ("note", "boot", "reset"):
                raise ToolError(f"{what} did not happen: the board ended ({event}); its last line: {last}")
        raise ToolError(f"{what} did not happen: the board is off; its last line: {last}")

    def _retell(self, topic: str, text: str, at_s: float) -> None:
        if topic == "download":
            self._progress(text)
            return
        if topic == "reading":
            if self._last_reading_s is not None:
                self.longest_gap_s = max(self.longest_gap_s, at_s - self._last_reading_s)
            self._last_reading_s = at_s
            self._readings += 1
            if self._readings % 2 == 0 or self._bar:  # half of them are enough to read
                return
        self._telling.line("board", f"[bold]{topic}[/] {text}")

    def _end_bar(self) -> None:
        if self._bar:
            self._bar[0].stop()
            self._bar = None

    def _progress(self, text: str) -> None:
        match = _PERCENT.match(text)
        if not match:
            self._telling.line("board", f"[bold]download[/] {text}")
            return
        percent = int(match[1])
        if self._bar is None:
            columns = (
                TextColumn("         [green]board [/]  [bold]download[/]"),
                BarColumn(40),
                TextColumn("{task.percentage:3.0f}% of " + match[2] + " KiB"),
            )
            bar = Progress(*columns, console=self._telling.console)
            self._bar = (bar, bar.add_task("download", total=100))
            bar.start()
        bar, task = self._bar
        bar.update(task, completed=percent)
        if percent >= 100:
            self._end_bar()
