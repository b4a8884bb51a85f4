"""The campaign's life, stage by stage: lived once uncut and recorded, then from any of its operations on after a cut.

A power cut leaves nothing but flash, and the service as it was at that moment. So a cut life needs no beginning: the
recorded operations up to the cut make its flash, the service is set back, and the board is switched on.
"""

from __future__ import annotations

import random
import re
import socket
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from power import flash as flash_of
from power.courses import COURSES, Stage
from power.flash import UNDEFINED, VALID, Flash, Operation
from power.service import Double, Known, Service
from power.witness import Witness
from power.workshop import FAILING, Works
from thermokeeper.release.filesystem import unpack
from thermokeeper.simulator.board import Board, Event
from thermokeeper.simulator.world import World

MOMENTS = ("before", "middle", "after")
LOST = "lost"  # not a cut: the operation has no effect, as in flash that is worn
HOST = "service.test"
URL = f"http://{HOST}"
_LIMIT_S = 12 * 3600.0
_MAX_BOOTS = 40


@dataclass
class End:
    """How things stand at the end of a stage; a cut life has to come to the uncut one's."""

    slot: str
    states: dict[str, int]
    release: str
    current: str | None
    name: str
    key_works: bool
    records: dict[str, Any]
    board_files: dict[str, int]

    def differences(self, other: End) -> list[str]:
        """What is otherwise than in `other`, in words."""
        found = []
        for one in fields(self):
            mine, others = getattr(self, one.name), getattr(other, one.name)
            if isinstance(mine, dict):
                names = [name for name in {**mine, **others} if mine.get(name) != others.get(name)]
                found += [f"{one.name}: {name} is {mine.get(name)!r}, not {others.get(name)!r}" for name in names]
            elif mine != others:
                found.append(f"{one.name} is {mine!r}, not {others!r}")
        return found


@dataclass
class Story:
    """The uncut life: everything that a cut one starts from and is compared with."""

    course: str
    operations: list[Operation] = field(default_factory=list)
    known: list[Known] = field(default_factory=list)
    starts: list[bytes] = field(default_factory=list)  # flash at the start of each stage
    ends: list[End] = field(default_factory=list)
    boots: list[int] = field(default_factory=list)  # in each stage
    first: list[int] = field(default_factory=list)  # number of the first operation of each stage
    lines: list[str] = field(default_factory=list)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What happens in it."""
        return COURSES[self.course].stages

    def of_stage(self, stage: int) -> list[Operation]:
        """The operations of one stage."""
        end = self.first[stage + 1] if stage + 1 < len(self.first) else len(self.operations)
        return self.operations[self.first[stage] : end]

    def is_next_to(self, operation: Operation) -> bool:
        """Whether nothing happened between the operation before and this one that outlives a power cut.

        Then a cut after that one and a cut before this one leave the same flash and the same service: one life.
        """
        if operation.number == self.first[operation.stage]:
            return False
        earlier = self.operations[operation.number - 1]
        return all(
            getattr(earlier, name) == getattr(operation, name)
            for name in ("boot", "by_bootloader", "known", "selected")
        )

    def flash_before(self, operation: Operation) -> bytearray:
        """Flash as the operation finds it."""
        data = bytearray(self.starts[operation.stage])
        for earlier in self.operations[self.first[operation.stage] : operation.number]:
            data[earlier.address : earlier.address + len(earlier.data)] = earlier.data
        return data


class Trouble(AssertionError):
    """The uncut life isn't one."""


@dataclass(frozen=True)
class Cut:
    """One cut life: the operation, the moment (or `lost`) and the seed; perhaps a second one, counted from there.

    As text: 123/middle/7 or 123/middle/7+45/after/8.
    """

    operation: int
    moment: str
    seed: int = 1
    then: tuple[int, str, int] | None = None

    def __str__(self) -> str:
        more = "+{}/{}/{}".format(*self.then) if self.then else ""
        return f"{self.operation}/{self.moment}/{self.seed}{more}"

    @classmethod
    def parse(cls, text: str) -> Cut:
        one = r"(\d+)/(before|middle|after|lost)/(\d+)"
        found = re.fullmatch(rf"{one}(?:\+{one})?", text)
        if not found:
            raise ValueError(f"{text!r} isn't a cut; one looks like 123/middle/7 or 123/middle/7+45/after/8")
        number, moment, seed, *then = found.groups()
        return cls(
            int(number), moment, int(seed), (int(then[0]), then[1], int(then[2])) if then[0] is not None else None
        )


@dataclass
class Verdict:
    """What came of a cut life. faults: one line for each rule that it broke."""

    cut: Cut
    faults: list[str]
    cuts: int  # how often the power went
    operation: str
    lines: list[str] = field(default_factory=list)


_resolve = socket.getaddrinfo


def find_service(url: str) -> None:
    """Let boards of this process find the service by its name: flash holds its address, and goes between processes."""
    port = int(url.rsplit(":", 1)[1])

    def getaddrinfo(host: Any, *more: Any, **options: Any) -> Any:
        if host == HOST:
            return _resolve("127.0.0.1", port, *more[1:], **options)
        return _resolve(host, *more, **options)

    socket.getaddrinfo = getaddrinfo


def new_board(flash: Flash, base: Path, world: World) -> Board:
    """A board of this process with its flash in memory. base: any flash file."""
    board = Board(base, world, runtime="cpython", virtual_time=True)
    board.flash = flash  # type: ignore[assignment]
    return board


def uncut(course: str, works: Works, service: Service, base: Path, url: str = URL) -> Story:
    """Live the whole life without a cut, and record it."""
    story = Story(course)
    flash = Flash(works.flash_for(url, service.record))
    selected: set[str] = set()
    for number, stage in enumerate(story.stages):
        random.seed(number)
        stage.act(service)
        story.starts.append(bytes(flash.data))
        story.first.append(len(story.operations))
        story.lines.append(f"== {stage.name}")
        witness = Witness(works, flash, stage, selected)
        board = new_board(flash, base, World())
        _record(story, number, board, witness, service)
        _finish(board, witness, _LIMIT_S)
        selected = witness.selected
        story.lines += witness.lines
        trouble = witness.trouble or ("" if witness.is_done else "it never came to its end")
        if not trouble:
            story.boots.append(len(witness.boots))
            story.ends.append(end_of(works, witness, service.known()))
            trouble = _quiet(works, flash, base, stage)
        if trouble:
            raise Trouble(f"the uncut life, {stage.name}: {trouble}\n" + "\n".join(witness.lines[-60:]))
    return story


def _record(story: Story, stage: int, board: Board, witness: Witness, service: Service) -> None:
    changes = -1

    def record(address: int, data: bytes) -> None:
        nonlocal changes
        if isinstance(service, Double) and changes != service.changes:
            changes = service.changes
            story.known.append(service.known())
        last = board.operations[-1]
        if last.number != len(story.operations) - story.first[stage]:
            raise AssertionError(f"operation {last} writes in two pieces")
        witness.written(address, data)
        story.operations.append(
            Operation(
                len(story.operations),
                last.number,
                last.kind,
                address,
                data,
                stage,
                len(witness.boots),
                witness.in_bootloader,
                len(story.known) - 1,
                frozenset(witness.selected),
            )
        )

    witness.flash.on_write = record


def _finish(board: Board, witness: Witness, limit_s: float) -> None:
    """Switch the board on and let it live until the stage is over, or its time is."""

    def over(event: Event) -> bool:
        return witness.is_done or witness.trouble is not None

    witness.keyboard = board.type
    board.play(witness.heard, for_s=limit_s, until=over, max_boots=_MAX_BOOTS)


def _quiet(works: Works, flash: Flash, base: Path, stage: Stage) -> str:
    """Switch the board on once more, for hours: it must not write anything. What is wrong, or ""."""
    witness = Witness(works, flash)
    board = new_board(flash, base, World())
    board.play(witness.heard, for_s=stage.quiet_s, until=lambda event: bool(board.operations))
    if board.operations:
        return f"at its end the board doesn't keep quiet: {board.operations[0]}"
    return witness.trouble or ("" if len(witness.boots) == 1 else "at its end the board starts again and again")


def relive(
    works: Works,
    story: Story,
    service: Double,
    base: Path,
    cut: Cut,
    quiet: bool = False,
    to_the_end: bool = False,
) -> Verdict:
    """Live on from a cut to the end of its stage, and hold the life against the rules and the uncut one.

    quiet: look whether the board leaves flash alone then. to_the_end: live all stages that follow as well.
    """
    operation = story.operations[cut.operation]
    stage = story.stages[operation.stage]
    random.seed(str(cut))
    flash = Flash(story.flash_before(operation))
    before = story.known[operation.known]
    had_key = flash_of.key_in(flash_of.records(flash))
    service.set_back(before)
    cuts = []
    if cut.moment == LOST:
        flash = Flash(bytearray(story.starts[operation.stage]))
        flash.loses.add(operation.address)
        service.set_back(story.known[story.of_stage(operation.stage)[0].known])
    else:
        flash_of.cut(flash, operation, cut.moment, cut.seed)
    if cut.then:
        cuts.append({"operation": cut.then[0], "moment": cut.then[1], "seed": cut.then[2]})
    witness = Witness(works, flash, stage, operation.selected)
    witness.look_at_headers()
    board = new_board(flash, base, World(cuts=cuts))
    _finish(board, witness, _LIMIT_S)
    count = (cut.moment != LOST) + witness.cuts
    faults = [witness.trouble] if witness.trouble else []
    if not faults and not witness.is_done:
        faults.append(f"the board never came to the end of its stage ({board.outcome})")
    if not faults:
        known = service.known()
        faults += _differences(works, story, operation.stage, witness, known, operation)
        faults += _credentials(before, known, had_key, witness.cuts, cut)
        faults += _failures(operation, known, witness, cut)
        if len(witness.boots) > story.boots[operation.stage] + 3 * (1 + witness.cuts):
            faults.append(f"it took {len(witness.boots)} boots")
    if quiet and not faults:
        faults += [trouble] if (trouble := _quiet(works, flash, base, stage)) else []
    for number in range(operation.stage + 1, len(story.stages) if to_the_end else 0):
        if faults:
            break
        story.stages[number].act(service)
        later = Witness(works, flash, story.stages[number], witness.selected)
        _finish(new_board(flash, base, World()), later, _LIMIT_S)
        witness.lines += [f"== {story.stages[number].name}", *later.lines]
        faults += [later.trouble] if later.trouble else []
        faults += _differences(works, story, number, later, service.known(), operation)
        witness.selected = later.selected
    return Verdict(cut, faults, count, f"{stage.name}, operation {operation.number}: {operation}", witness.lines)


def _differences(
    works: Works, story: Story, stage: int, witness: Witness, known: Known, operation: Operation
) -> list[str]:
    end = end_of(works, witness, known)
    uncut = story.ends[stage]
    if operation.stage == 0 and operation.by_bootloader:
        # A bootloader that finds its very first entry torn doesn't write it again: it boots the first slot without.
        end.states = {slot: VALID if state == UNDEFINED else state for slot, state in end.states.items()}
        uncut = replace(uncut, states={slot: VALID if it == UNDEFINED else it for slot, it in uncut.states.items()})
    return end.differences(uncut)


def _credentials(before: Known, known: Known, had_key: str | None, more_cuts: int, cut: Cut) -> list[str]:
    """A key that works isn't lost; without one, one activation is enough, and one more for each further cut."""
    if cut.moment == LOST:
        return []
    faults = []
    if known.lost_keys != before.lost_keys:
        faults.append("a key that had been used was dropped by an activation of the board's own")
    allowed = 0 if had_key is not None and had_key == before.key else 1 + more_cuts
    if known.activations - before.activations > allowed:
        faults.append(f"{known.activations - before.activations} activations after the cut, {allowed} would do")
    return faults


def _failures(operation: Operation, known: Known, witness: Witness, cut: Cut) -> list[str]:
    """What failed is known afterwards, and was tried once."""
    faults = []
    if known.target != FAILING:
        return faults
    if not any(told.startswith(FAILING) for told in known.failures):
        faults.append("the server wasn't told of the release that failed")
    # The one trial; another one only if the power went while the bootloader wrote down how it ended.
    trials = witness.trials + (operation.boot >= 2 and cut.moment != LOST)
    allowed = 1 + (operation.by_bootloader and operation.boot >= 2) + witness.cuts
    if trials > allowed:
        faults.append(f"the release that fails was tried {trials} times, though nothing was lost of the first one")
    return faults


def as_simulated(works: Works, story: Story, service: Double, base: Path, cut: Cut) -> bytes:
    """Flash as a cut leaves it when the stage is lived from its start and the simulator's own plan cuts the power."""
    operation = story.operations[cut.operation]
    random.seed(operation.stage)
    flash = Flash(bytearray(story.starts[operation.stage]))
    service.set_back(story.known[story.of_stage(operation.stage)[0].known])
    plan = [{"operation": operation.index, "moment": cut.moment, "seed": cut.seed}]
    new_board(flash, base, World(cuts=plan)).play(for_s=_LIMIT_S, stay_cut=True)
    return bytes(flash.data)


def as_recorded(story: Story, cut: Cut) -> bytes:
    """The same, made of the recorded operations."""
    operation = story.operations[cut.operation]
    flash = Flash(story.flash_before(operation))
    flash_of.cut(flash, operation, cut.moment, cut.seed)
    return bytes(flash.data)


def end_of(works: Works, witness: Witness, known: Known) -> End:
    """How things stand now."""
    flash = witness.flash
    records = flash_of.records(flash)
    key = flash_of.key_in(records)
    records.get("cloud", {}).pop("key", None)
    records.get("dms", {}).pop("credential", None)
    # How many updates followed each other counts a cut one; and a release that failed is remembered for its tries, also
    # if it passed a later trial. It matters only while it is the target.
    records.get("release", {}).pop("spent", None)
    failed = records.get("release", {}).get("failed")
    if failed and (failed["version"] != known.target or failed["digest"] == records["release"].get("digest")):
        records["release"]["failed"] = None
    for name, record in records.items():
        if isinstance(record, dict):
            records[name] = {field: value for field, value in record.items() if value is not None}
    return End(
        witness.slot,
        flash_of.slot_states(flash),
        witness.content_of(witness.slot) or "none of ours",
        known.current,
        known.name,
        key is not None and key == known.key,
        records,
        _revisions(flash),
    )


def _revisions(flash: Flash) -> dict[str, int]:
    """The files of the board's own file system, each with the revision in its first line."""
    found = {}
    for name, content in unpack(bytes(flash.part("vfs"))).items():
        number = re.search(rb"revision (\d+)$", content.split(b"\n")[0])
        found[name] = int(number[1]) if number else 0
    return found
