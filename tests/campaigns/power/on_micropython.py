"""A sample of the campaign on unix MicroPython: compiled releases, a process for each boot.

Flash is a file here, and the simulator's own plan cuts the power: nothing of how `life` makes a cut's flash is used.
"""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from power.courses import COURSES, Stage
from power.flash import Flash
from power.life import MOMENTS, Cut, End, Trouble, Verdict, end_of
from power.service import Double, Known
from power.witness import Witness
from power.workshop import Works
from thermokeeper.simulator.board import Board, Event, Operation
from thermokeeper.simulator.world import World

_LIMIT_S = 90


class _FileWitness(Witness):
    """Reads the flash file again at each event between two boots; single writes can't be watched."""

    def __init__(self, works: Works, path: Path, stage: Stage) -> None:
        super().__init__(works, Flash(bytearray()), stage, works.releases)
        self._path = path

    def heard(self, event: Event) -> None:
        if event.kind != "console":
            self.flash.data = bytearray(self._path.read_bytes())
        super().heard(event)


@dataclass
class _Start:
    flash: Path
    known: Known
    operations: list[Operation] = field(default_factory=list)
    end: End | None = None
    activations: int = 0


class Sample:
    """`uncut()`, then `relive` for each of `cuts(count)`."""

    def __init__(self, course: str, folder: Path, works: Works, service: Double) -> None:
        self._stages = COURSES[course].stages
        self._folder = folder
        self._works = works
        self._service = service
        self._starts: list[_Start] = []

    def uncut(self) -> None:
        """Live the whole life; Trouble if that goes wrong already."""
        path = self._folder / "uncut.bin"
        path.write_bytes(self._works.flash_for(self._service.url, self._service.record))
        for number, stage in enumerate(self._stages):
            stage.act(self._service)
            start = _Start(self._folder / f"stage-{number}.bin", self._service.known())
            shutil.copyfile(path, start.flash)
            witness, board = self._live(path, number, [])
            if witness.trouble or not witness.is_done:
                lines = "\n".join(witness.lines[-40:])
                raise Trouble(f"MicroPython, {stage.name}: {witness.trouble or 'it never came to its end'}\n{lines}")
            start.operations = board.operations
            start.end = end_of(self._works, witness, self._service.known())
            start.activations = self._service.known().activations - start.known.activations
            self._starts.append(start)

    def cuts(self, count: int) -> list[tuple[int, Cut]]:
        """(stage, cut), the operation counted from the stage's start; each stage in turn."""
        pick = random.Random("micropython")
        return [
            (
                number % len(self._stages),
                Cut(
                    pick.randrange(len(self._starts[number % len(self._stages)].operations)),
                    pick.choice(MOMENTS),
                    number,
                ),
            )
            for number in range(count)
        ]

    def relive(self, number: int, cut: Cut) -> Verdict:
        """Live a stage with a cut in it."""
        start = self._starts[number]
        path = self._folder / "cut.bin"
        shutil.copyfile(start.flash, path)
        self._service.set_back(start.known)
        plan = [{"operation": cut.operation, "moment": cut.moment, "seed": cut.seed}]
        witness, _ = self._live(path, number, plan)
        faults = [witness.trouble] if witness.trouble else []
        if not faults and not witness.is_done:
            faults.append("the board never came to the end of its stage")
        if not faults and start.end:
            known = self._service.known()
            faults += end_of(self._works, witness, known).differences(start.end)
            if known.lost_keys != start.known.lost_keys:
                faults.append("a key that had been used was dropped by an activation of the board's own")
            if known.activations - start.known.activations > start.activations + 1:
                faults.append(f"{known.activations - start.known.activations} activations")
        if not witness.cuts and not faults:
            faults.append("the power never went")
        operation = start.operations[cut.operation]
        name = self._stages[number].name
        where = f"MicroPython, {name}: {operation.kind} in {operation.partition} at {operation.address:#x}"
        return Verdict(cut, faults, witness.cuts, where, witness.lines)

    def _live(self, path: Path, number: int, cuts: list[dict[str, Any]]) -> tuple[Witness, Board]:
        witness = _FileWitness(self._works, path, self._stages[number])
        board = Board(path, World(cuts=cuts), virtual_time=True, memory="roomy")
        witness.keyboard = board.type
        board.play(
            witness.heard,
            wall_s=_LIMIT_S,
            until=lambda event: witness.is_done or witness.trouble is not None,
            max_boots=20,
        )
        witness.flash.data = bytearray(path.read_bytes())
        return witness, board
