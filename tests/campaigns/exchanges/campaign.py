"""The campaign: a clean life, and then the same life again for each of its exchanges and each harm in turn."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from exchanges.harms import HARMS
from exchanges.life import Outcome
from extent import WHOLE

ROOT = Path(__file__).parents[3]
PATHS = ("tests", "tests/kit", "tests/campaigns", "tests/units/device", "lib")
Case = dict[str, Any]
TURNS = 6


class Stuck(Exception):
    """A worker ended before its work did."""


class Crew:
    """Some workers; `with Crew(folder, count) as crew`. The folder holds the goods."""

    def __init__(self, folder: Path, count: int) -> None:
        # Nothing of the workers is measured: coverage would take longer than the lives.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
        environment["PYTHONPATH"] = os.pathsep.join(str(ROOT / path) for path in PATHS)
        self._workers = [
            subprocess.Popen(
                [sys.executable, "-m", "exchanges.worker", str(folder)],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(count)
        ]

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            assert worker.stdin
            worker.stdin.close()
        for worker in self._workers:
            try:
                worker.wait(20 if error[0] is None else 0.1)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
            assert worker.stdout
            worker.stdout.close()

    def live(self, cases: Iterable[Case]) -> Iterator[tuple[Case, Outcome]]:
        """Let them be lived; the outcomes as they come."""
        waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
        for case in cases:
            waiting.put(case)
        done: queue.SimpleQueue[tuple[Case, Outcome | None] | None] = queue.SimpleQueue()

        def lead(worker: subprocess.Popen[str]) -> None:
            assert worker.stdin and worker.stdout
            while True:
                try:
                    case = waiting.get_nowait()
                except queue.Empty:
                    done.put(None)
                    return
                try:
                    worker.stdin.write(json.dumps(case) + "\n")
                    worker.stdin.flush()
                    line = worker.stdout.readline()
                except (OSError, ValueError):  # it is gone
                    line = ""
                done.put((case, Outcome.from_json(line) if line else None))
                if not line:
                    done.put(None)
                    return

        for worker in self._workers:
            threading.Thread(target=lead, args=(worker,), daemon=True).start()
        for _ in self._workers:
            while (one := done.get()) is not None:
                case, outcome = one
                if outcome is None:
                    raise Stuck(f"the worker ended in the life `{case['name']}`; what it said is above")
                yield case, outcome


def harmable(clean: Outcome, name: str) -> list[int]:
    """The exchanges of the clean life that can be harmed in this way."""
    statuses = [exchange[2] for exchange in clean.exchanges]
    return [number for number, status in enumerate(statuses) if status != 204 or not HARMS[name].needs_body]


def single_harms(clean: Outcome, whole: Iterable[str] = tuple(HARMS), turns: int = TURNS) -> list[Case]:
    """Each exchange of the clean life, harmed in each way; in one that isn't in `whole`, one of so many exchanges.

    By turns: each exchange meets as many of those harms.
    """
    return [harmed(number, name) for name in HARMS for number in places(clean, name, whole, turns)]


def places(clean: Outcome, name: str, whole: Iterable[str], turns: int = TURNS) -> list[int]:
    """The exchanges that meet this harm."""
    found = harmable(clean, name)
    if name in whole:
        return found if WHOLE else _first_of_each_label(clean, found)
    index = list(HARMS).index(name)
    if not WHOLE:  # each harm comes once, at another exchange
        return found and [found[index * 7 % len(found)]]
    turn = index % turns
    return [number for at, number in enumerate(found) if at % turns == turn]


def _first_of_each_label(clean: Outcome, numbers: list[int]) -> list[int]:
    firsts: dict[str, int] = {}
    for number in numbers:
        firsts.setdefault(clean.exchanges[number][0], number)
    return sorted(firsts.values())


def harmed(number: int, name: str, runtime: str = "cpython") -> Case:
    """The case in which one exchange is harmed; its seed follows from its name."""
    text = f"{name} at {number}"
    seed = zlib.crc32(text.encode())
    harms = [[number, name, seed]]
    return {"name": text, "harms": harms, "activations": HARMS[name].activations, "runtime": runtime}


def storms(count: int, likely: float, until: int) -> list[Case]:
    """Lives in which any exchange may be harmed, in any way, until so many have been."""
    return [
        {"name": f"storm {seed}", "storm": likely, "seed": seed, "until": until, "activations": until}
        for seed in range(count)
    ]


def story(outcome: Outcome) -> str:
    """What happened in a life, for a person."""
    lines = [f"{outcome.name}: " + "; ".join(outcome.problems)]
    lines += [f"  {at_ms / 1000:8.1f} {label} {status} {harm}" for label, harm, status, at_ms in outcome.exchanges]
    return "\n".join([*lines, *(f"  {line}" for line in outcome.console if "download: " not in line)])
