"""The whole campaign on several processes: what there is to do, who does it, and what came of it.

A folder holds what the processes share: keys, and for each set of releases (the right ones, and those without a
guard) the releases and the recorded uncut life. Each process has a service of its own.
"""

from __future__ import annotations

import copy
import gc
import multiprocessing
import os
import pickle
import random
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from extent import WHOLE
from power import life, workshop
from power.courses import COURSES, DMS, GADGETKEEPER
from power.guards import GUARDS, Guard
from power.life import LOST, MOMENTS, Cut, Story, Trouble, Verdict
from power.on_micropython import Sample
from power.service import Double
from power.workshop import Works

PAIRS = 240
DMS_PAIRS = 60
LOSSES = 60
_QUIET_EVERY = 16
_TO_THE_END_EVERY = 128
_VERY_FIRST = 2
_CHUNK = 24
_GUARDS = {guard.name: guard for guard in GUARDS}


def _free_processors() -> int:
    """How many processes may be kept busy: half as many where other tests run beside, which wait for nobody."""
    processors = min(os.cpu_count() or 1, 8)
    return max(1, processors // 2) if "PYTEST_XDIST_WORKER" in os.environ and not WHOLE else processors


@dataclass
class Outcome:
    """Of a guard's lives, or of a chunk of the campaign."""

    lives: int
    cuts: int
    failed: list[Verdict]
    uncut: str = ""  # why not even the uncut life came to its end
    took_s: float = 0.0


class Campaign:
    """`with Campaign() as campaign`; what `submit` methods return are futures of Outcomes."""

    def __init__(self, processes: int | None = None) -> None:
        fast = Path("/dev/shm")
        self._folder = Path(tempfile.mkdtemp(prefix="thermokeeper-power-", dir=fast if fast.is_dir() else None))
        workshop.make_keys(self._folder / "keys")
        self._pool = ProcessPoolExecutor(
            processes or _free_processors(),
            multiprocessing.get_context("spawn"),
            _begin,
            (str(self._folder),),
        )
        # It mostly waits: beside the others, in a process of its own.
        self._slow_pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin, (str(self._folder),))
        self.stories: dict[str, Story] = {course: self._pool.submit(_prepare, course).result() for course in COURSES}

    def __enter__(self) -> Campaign:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._slow_pool.shutdown(cancel_futures=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def live(self, course: str, cuts: Sequence[Cut]) -> Future[Outcome]:
        """These lives, one after another."""
        return self._pool.submit(_live, course, cuts)

    def on_micropython(self, course: str, count: int) -> Future[Outcome]:
        """So many cut lives on MicroPython, and the uncut one before."""
        return self._slow_pool.submit(_on_micropython, course, count)

    def compare(self, course: str) -> Future[tuple[list[str], list[str]]]:
        """What the uncut life is like on the double of the service, and on the real one."""
        return self._pool.submit(_compare, course)

    def cuts_that_differ(self, count: int = 24) -> Future[list[str]]:
        """Cuts whose flash, made of recorded operations, isn't what the simulator's own cut leaves."""
        return self._pool.submit(_cuts_that_differ, count)

    def tell(self, name: str, cut: Cut) -> Verdict:
        """One life with its story; name: of its course, or of the guard that is out."""
        return self._pool.submit(_tell, name, cut).result()

    def without(self, guard: Guard, count: int, first_only: bool) -> Future[Outcome]:
        """The campaign with a guard out; `first_only`: until it fails."""
        return self._pool.submit(_without, guard.name, count, first_only)


def every_cut(story: Story, stage: int) -> list[Cut]:
    """A cut before, in the middle of and after each operation of a stage."""
    return [
        Cut(operation.number, moment, operation.number * 3 + 1)
        for operation in story.of_stage(stage)
        for moment in MOMENTS
    ]


def different_cuts(story: Story, stage: int) -> list[Cut]:
    """The same without those that make the same life as a cut after the operation before."""
    same = {operation.number for operation in story.of_stage(stage) if story.is_next_to(operation)}
    return [cut for cut in every_cut(story, stage) if cut.moment != "before" or cut.operation not in same]


def pairs(story: Story, count: int = PAIRS) -> list[Cut]:
    """Two cuts in one life: the second one anywhere in what is left of the stage after the first."""
    pick = random.Random("pairs")
    found = []
    for seed in range(count):
        first = pick.choice(story.operations)
        left = story.first[first.stage + 1] if first.stage + 1 < len(story.first) else len(story.operations)
        then = (pick.randrange(left - first.number + 1), pick.choice(MOMENTS), seed)
        found.append(Cut(first.number, pick.choice(MOMENTS), seed, then))
    return found


def losses(story: Story, count: int = LOSSES) -> list[Cut]:
    """Program operations in the slots that flash doesn't do, though it says so."""
    pick = random.Random("losses")
    slots = [one for one in story.operations if one.partition in ("ota_0", "ota_1") and one.kind == "program"]
    return [Cut(one.number, LOST) for one in pick.sample(slots, min(count, len(slots)))]


def chunks(cuts: Sequence[Cut], size: int = _CHUNK) -> Iterator[Sequence[Cut]]:
    """Pieces of work that take a few seconds each."""
    for start in range(0, len(cuts), size):
        yield cuts[start : start + size]


# in the processes

_folder: Path
_sets: dict[str, tuple[Works, Story]] = {}
_services: dict[str, Double] = {}


def _begin(folder: str) -> None:
    global _folder
    _folder = Path(folder)


# A set of releases has the name of its course, or of the guard that is out in it.


def _course(name: str) -> str:
    return _GUARDS[name].course if name in _GUARDS else name


def _set(name: str) -> tuple[Works, Story, Double, Path]:
    path = _folder / f"{_GUARDS[name].id if name in _GUARDS else name}.pickle"
    if name not in _sets:
        if len(_sets) > len(COURSES):
            for other in [one for one in _sets if one in _GUARDS]:
                del _sets[other]
                _services.pop(other).__exit__()
        if path.exists():
            _sets[name] = pickle.loads(path.read_bytes())
        else:
            _sets[name] = _make(name, path)
        gc.freeze()  # device code collects garbage as often as a board must: let it not search all this each time
    works, story = _sets[name]
    service = _services.get(name)
    if service is None:
        service = _services[name] = _double(name, works).__enter__()
    life.find_service(service.url)
    return works, story, service, path.with_suffix(".bin")


def _double(name: str, works: Works) -> Double:
    return COURSES[_course(name)].double(works.releases, works.digests)


def _make(name: str, path: Path) -> tuple[Works, Story]:
    changes = _GUARDS[name].changes if name in _GUARDS else ()
    works = workshop.make(path.with_suffix(""), _folder / "keys", COURSES[_course(name)].versions, changes)
    path.with_suffix(".bin").write_bytes(works.flash)
    shutil.rmtree(path.with_suffix(""))
    with _double(name, works) as service:
        life.find_service(service.url)
        story = life.uncut(_course(name), works, service, path.with_suffix(".bin"))
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_bytes(pickle.dumps((works, story)))
    temporary.rename(path)
    return works, story


def _prepare(name: str) -> Story:
    return _set(name)[1]


def _live(name: str, cuts: Sequence[Cut], first_only: bool = False) -> Outcome:
    started_s = time.monotonic()
    works, story, service, base = _set(name)
    outcome = Outcome(0, 0, [])
    for cut in cuts:
        chance = (cut.operation * 7 + cut.seed) % _TO_THE_END_EVERY
        # What is torn at the very first boot stays torn for long.
        to_the_end = chance == 0 or cut.operation < _VERY_FIRST
        verdict = life.relive(works, story, service, base, cut, chance % _QUIET_EVERY == 0, to_the_end)
        outcome.lives += 1
        outcome.cuts += verdict.cuts
        if verdict.faults:
            outcome.failed.append(verdict)
            if first_only:
                break
    outcome.took_s = time.monotonic() - started_s
    return outcome


def _tell(name: str, cut: Cut) -> Verdict:
    works, story, service, base = _set(name)
    return life.relive(works, story, service, base, cut, True, True)


def _without(name: str, count: int, first_only: bool) -> Outcome:
    started_s = time.monotonic()
    try:
        story = _prepare(name)
    except Trouble as trouble:
        return Outcome(1, 0, [], str(trouble).splitlines()[0], time.monotonic() - started_s)
    outcome = _live(name, _GUARDS[name].cuts(story, count), first_only)
    outcome.took_s = time.monotonic() - started_s
    return outcome


def _compare(course: str) -> tuple[list[str], list[str]]:
    works, story, _, base = _set(course)
    with COURSES[course].real(_folder / f"server {course}", works.releases) as service:
        life.find_service(service.url)
        real = life.uncut(course, works, service, base)
    return _shape(story), _shape(real)


def _shape(story: Story) -> list[str]:
    """A life in lines that two services have in common: ids are theirs, keys work or don't."""
    lines = [*story.lines, *(str(operation) for operation in story.operations)]
    for end in copy.deepcopy(story.ends):
        for name in ("id", "thing", "spent"):
            for record in end.records.values():
                record.pop(name, None)
        lines.append(f"{end.slot} {end.states} {end.release} {end.current} {end.name} {end.board_files}")
        lines.append(re.sub("[0-9a-f]{32,64}", "...", repr(end.records)))
    return [re.sub(r"\b[0-9a-f]{32}\b", "<id>", line) for line in lines]


def _cuts_that_differ(count: int) -> list[str]:
    works, story, service, base = _set(GADGETKEEPER)
    pick = random.Random("differ")
    found = []
    for operation in pick.sample(story.operations, count):
        cut = Cut(operation.number, pick.choice(MOMENTS), operation.number)
        if life.as_simulated(works, story, service, base, cut) != life.as_recorded(story, cut):
            found.append(str(cut))
    return found


def _on_micropython(course: str, count: int) -> Outcome:
    started_s = time.monotonic()
    folder = _folder / f"micropython {course}"
    works = workshop.make(folder / "works", _folder / "keys", COURSES[course].versions, source=False)
    outcome = Outcome(0, 0, [])
    with _double(course, works) as service:
        sample = Sample(course, folder, works, service)
        sample.uncut()
        for stage, cut in sample.cuts(count):
            verdict = sample.relive(stage, cut)
            outcome.lives += 1
            outcome.cuts += verdict.cuts
            if verdict.faults:
                outcome.failed.append(verdict)
    outcome.took_s = time.monotonic() - started_s
    return outcome


def reproduce(name: str, cut: Cut) -> str:
    """The command that lives this life again and prints its story."""
    more = f" --without {_GUARDS[name].id}" if name in _GUARDS else " --dms" if name == DMS else ""
    return f'make power ARGS="--cut {cut}{more}"'


def by_id(name: str) -> Guard:
    """The guard with this id."""
    found = {guard.id: guard for guard in GUARDS}
    if name not in found:
        raise SystemExit(f"there is no guard {name}; there are: {', '.join(found)}")
    return found[name]
