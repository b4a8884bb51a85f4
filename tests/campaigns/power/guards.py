"""What stands between a power cut and a dead board, each with the change of the code that takes it out.

The campaign is run with one of them out at a time, on cuts that are aimed at it, and has to fail. Some pairs hide
each other: there each is out alone (nothing is found), then both.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from power.courses import DMS, GADGETKEEPER
from power.flash import Operation
from power.life import LOST, MOMENTS, Cut, Story
from power.workshop import Change

_SLOTS = ("ota_0", "ota_1")
_TRIAL: Change = ("keeper/lifecycle.py", "        if missing:\n", "        if False:\n")
_NO_BOOT_CHECK: Change = (
    "keeper/booting/otadata.py",
    "if slots.selected().info() != slots.running.partition.info():",
    "if False:",
)
_WRITES_ON_TRIAL: Change = (
    "keeper/booting/otadata.py",
    "    if on_trial(slots):\n        raise SlotError(",
    "    if False:\n        raise SlotError(",
)
_HEADER_FIRST: tuple[Change, ...] = (
    (
        "keeper/updating/installer.py",
        "        first, size, place = self._begin(",
        "        self._write_header(download, manifest)\n        first, size, place = self._begin(",
    ),
    (
        "keeper/updating/installer.py",
        "        self._write_header(download, manifest)\n        self._checkpoint.clear()",
        "        self._checkpoint.clear()",
    ),
)
_KEEPS_OLD_HEADER: Change = (
    "keeper/updating/installer.py",
    "        if offset is not None:\n            other.erase(offset)\n",
    "",
)
_CHECKPOINT_FIRST: tuple[Change, ...] = (
    (
        "keeper/updating/installer.py",
        "            other.erase(offset)\n        self._checkpoint.start(manifest.digest, HEADER_SIZE)\n",
        "            other.erase(offset)\n",
    ),
    (
        "keeper/updating/installer.py",
        "        other = self._slots.other\n        # An older",
        "        self._checkpoint.start(manifest.digest, HEADER_SIZE)\n"
        "        other = self._slots.other\n        # An older",
    ),
)
_BELIEVES_HEADER: Change = (
    "keeper/updating/installer.py",
    "        return self._in_flash(manifest, manifest.app) and self._in_flash(manifest, manifest.fs)\n",
    "        return True\n",
)
_NO_READ_BACK: Change = (
    "keeper/updating/installer.py",
    "            if not self._in_flash(manifest, part):\n",
    "            if False:\n",
)
_BELIEVES_CHECKPOINT: tuple[Change, ...] = (
    (
        "keeper/updating/installer.py",
        "        self._hash(digest, start, done)\n        twin",
        "        resumed = done > 0\n        twin",
    ),
    (
        "keeper/updating/installer.py",
        "good = digest.digest() == part.sha256",
        "good = resumed or digest.digest() == part.sha256",
    ),
)
_KEEPS_VERDICT: Change = ("keeper/updating/transaction.py", "    slots.forget_verdict()\n", "")
_EXPECTS_LATE: tuple[Change, ...] = (
    (
        "keeper/updating/transaction.py",
        "    Ledger(Store(), *life.running).expect(target.id, manifest, life.up_ms())\n    slots.select()\n",
        "    slots.select()\n    Ledger(Store(), *life.running).expect(target.id, manifest, life.up_ms())\n",
    ),
)
_NO_SETTLING: Change = (
    "keeper/remembering/ledger.py",
    "            left = expected if aborted and not self._was_left() else None\n",
    "            left = None\n",
)
_STORED_LATE: Change = (
    "keeper/services/gadgetkeeper/joining/credentials.py",
    '    Store().save("cloud", found)\n    standing.credentials = found\n    standing.cloud.use(found)\n',
    "    standing.credentials = found\n    standing.cloud.use(found)\n    standing.cloud.target()\n"
    '    Store().save("cloud", found)\n',
)
_ERASED_FIRST: Change = (
    "keeper/nvs/state.py",
    "            nvs.set_blob(name, data)\n",
    "            self.erase(name)\n            nvs.set_blob(name, data)\n",
)
_MANY_KEYS: tuple[Change, ...] = (
    (
        "keeper/nvs/state.py",
        "            nvs.set_blob(name, data)\n",
        "            for field in record:\n"
        '                nvs.set_blob(name + "." + field, json.dumps(record[field]).encode())\n',
    ),
    (
        "keeper/nvs/state.py",
        "        text = self._get(name)\n",
        '        if self._namespace == "keeper":\n'
        "            found = {}\n"
        '            for field in _FIELDS[name].split(" "):\n'
        '                text = self._get(name + "." + field)\n'
        "                if text is not None:\n"
        "                    found[field] = json.loads(text)\n"
        "            return found or None\n"
        "        text = self._get(name)\n",
    ),
    (
        "keeper/nvs/state.py",
        "            nvs.erase_key(name)\n",
        '            for field in _FIELDS[name].split(" "):\n'
        '                if self._get(name + "." + field) is not None:\n'
        '                    nvs.erase_key(name + "." + field)\n',
    ),
    (
        "keeper/nvs/state.py",
        "RECORD_LIMIT = 1536\n",
        "RECORD_LIMIT = 1536\n"
        '_FIELDS = {"cloud": "key thing serial service server named v", "policy": "security floors rest revoked v",\n'
        '    "release": "id digest version thing next failed v", "resume": "digest part size at v"}\n',
    ),
)
_REMEMBERS_FIRST: Change = (
    "keeper/changing/target.py",
    "    life.cloud.confirm(version_id)\n    ledger.confirmed(version_id)\n",
    "    ledger.confirmed(version_id)\n    life.cloud.confirm(version_id)\n",
)
_SETTLES_ONCE: Change = (
    "keeper/settling/start.py",
    "        if not life.on_trial:\n            _settle_proved(life, running)\n",
    "",
)
_SETTLES_EARLY: Change = (
    "keeper/settling/start.py",
    "        if not life.on_trial:\n            _settle_proved(life, running)\n",
    "        _settle_proved(life, running)\n",
)
_BOOT_FILE_IN_PLACE: Change = (
    "keeper/settling/bootfiles.py",
    '            _copy(new, old + ".new")\n            os.rename(old + ".new", old)\n',
    "            _copy(new, old)\n",
)
_ACKNOWLEDGED_FIRST: Change = (
    "keeper/services/gecko_dms/joining/provisioning.py",
    "    _keep(standing, credential=credential, acked=False, thing=None)\n    standing.cloud.use(credential)\n",
    "    standing.cloud.use(credential)\n    standing.cloud.acknowledge()\n"
    "    _keep(standing, credential=credential, acked=False, thing=None)\n",
)
_WISH_NOT_KEPT: Change = (
    "keeper/services/gecko_dms/joining/provisioning.py",
    '    if code != standing.record.get("wanted", standing.product()):\n        _keep(standing, wanted=code)\n',
    "",
)


@dataclass(frozen=True)
class Guard:
    """stages, partitions, moments: where cuts that could find it out are. found: whether they are expected to.

    course: the life that it is in.
    """

    name: str
    changes: tuple[Change, ...]
    stages: tuple[int, ...] = ()
    partitions: tuple[str, ...] = ()
    moments: tuple[str, ...] = MOMENTS
    then: bool = False
    near: Callable[[Story], list[Operation]] | None = None  # instead of stages and partitions
    found: bool = True
    why: str = ""
    course: str = GADGETKEEPER

    @property
    def id(self) -> str:
        """The name as one word."""
        return "-".join("".join(letter if letter.isalnum() else " " for letter in self.name.lower()).split())

    def cuts(self, story: Story, count: int) -> list[Cut]:
        """So many of the cuts that are aimed at it, or all."""
        chosen = [
            operation
            for operation in (self.near(story) if self.near else story.operations)
            if (not self.stages or operation.stage in self.stages)
            and (not self.partitions or operation.partition in self.partitions)
            and (LOST not in self.moments or operation.kind == "program")
        ]
        pick = random.Random(self.name)
        found = []
        for operation in chosen:
            for moment in self.moments:
                then = (pick.randrange(120), pick.choice(MOMENTS), operation.number) if self.then else None
                found.append(Cut(operation.number, moment, operation.number, then))
        pick.shuffle(found)
        return found[:count]


def _around_first_erase(story: Story) -> list[Operation]:
    """The first operation in a slot of each later installation, and the one before it."""
    found = []
    for stage in (3, 4, 5):
        operations = story.of_stage(stage)
        first = next(number for number, one in enumerate(operations) if one.partition in _SLOTS)
        found += operations[first - 1 : first + 1]
    return found


def _around_selection(story: Story) -> list[Operation]:
    """From the last block of an installation to the end of the boot that it ends in."""
    found = []
    for stage in (2, 3, 4, 5):
        operations = story.of_stage(stage)
        last = max(number for number, one in enumerate(operations) if one.partition in _SLOTS)
        found += [one for one in operations[last:] if one.boot == operations[last].boot]
    return found


def _around_confirmation(story: Story) -> list[Operation]:
    """What NVS is told last in a stage that ends with a confirmation."""
    return [one for stage in (0, 2) for one in [one for one in story.of_stage(stage) if one.partition == "nvs"][-12:]]


GUARDS = (
    Guard("a trial release has to be healthy", (_TRIAL,)),
    Guard("a release that failed is noted", (_NO_SETTLING,)),
    Guard("the header is written last", _HEADER_FIRST, (2, 3, 4, 5), _SLOTS),
    Guard("an old header is erased first", (_KEEPS_OLD_HEADER,), (3, 4, 5), _SLOTS),
    Guard("... before there is a checkpoint", _CHECKPOINT_FIRST, then=True, near=_around_first_erase),
    Guard("what was written is read back", (_NO_READ_BACK,), (2, 3, 4, 5), _SLOTS, (LOST,)),
    Guard(
        "a checkpoint is hashed again",
        _BELIEVES_CHECKPOINT,
        (2, 3, 5),
        _SLOTS,
        (LOST,),
        then=True,
        found=False,
        why="the read-back",
    ),
    Guard("... and read-back", (*_BELIEVES_CHECKPOINT, _NO_READ_BACK), (2, 3, 5), _SLOTS, (LOST,), True),
    Guard("a complete slot is hashed again", (_BELIEVES_HEADER,), (2, 3, 4, 5), _SLOTS, found=False, why="header last"),
    Guard("... and header last", (*_HEADER_FIRST, _BELIEVES_HEADER), (2, 3, 4, 5), _SLOTS),
    Guard("the old verdict is erased", (_KEEPS_VERDICT,), (4,), near=_around_selection),
    Guard("a release is expected before it is selected", _EXPECTS_LATE, (3,), near=_around_selection),
    Guard("no slot is written on trial", (_WRITES_ON_TRIAL,), found=False, why="a trial ends before an update begins"),
    Guard("only what runs is confirmed", (_NO_BOOT_CHECK,), found=False, why="nothing follows a selection but a reset"),
    Guard("a key is stored before it is used", (_STORED_LATE,), (0, 1), ("nvs",)),
    Guard("a record is replaced, not erased first", (_ERASED_FIRST,), (0, 1, 2, 3), ("nvs",)),
    Guard("a record is one blob", _MANY_KEYS, (0, 1, 2, 3), ("nvs",)),
    Guard("the server is told before it is noted", (_REMEMBERS_FIRST,), near=_around_confirmation),
    Guard("what is proved is settled at each boot", (_SETTLES_ONCE,), (2, 5), ("nvs", "otadata", "vfs")),
    Guard("... and not before it is proved", (_SETTLES_EARLY,)),
    Guard(
        "a boot file is replaced by a rename",
        (_BOOT_FILE_IN_PLACE,),
        (5,),
        ("vfs",),
        found=False,
        why="LittleFS, which replaces a file whole when it is closed",
    ),
    Guard("a credential is kept before it is acknowledged", (_ACKNOWLEDGED_FIRST,), (0,), ("nvs",), course=DMS),
    Guard("the wish for another product is kept first", (_WISH_NOT_KEPT,), (1,), ("nvs",), course=DMS),
)
