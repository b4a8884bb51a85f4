"""Changed files onto a board over the release that it runs, and off it again; boot.py on the board does the rest.

In the board's folder /deployed: lib/ with what differs from the release, boot.py and main.py if they differ from
those on the board, start.py, which puts them first, and `over`, the digest of the one release that they are for. `over`
is written last, by a rename, and goes first: a board that loses power in between runs its release as if nothing were.
Over a release whose modules are merged whole merged modules are deployed, those that differ.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mpremote.transport import TransportExecError

from thermokeeper.board.link import Link, linked
from thermokeeper.errors import ToolError
from thermokeeper.release.application import BOARD_FILES, application_files, merged_files

FOLDER = "/deployed"
_START = Path(__file__).parent / "device/start.py"
_BLOCK = 4096
_FOLDER_BLOCKS = 2
_SPARE_BLOCKS = 3  # LittleFS moves its own
_WATCHDOG_MS = 30 * 60_000  # main.py's can't be stopped, only set anew; if this tool dies, the board restarts with it
_NOT_PART = ("board/", "trust.")  # of a release, but made with it, not from lib/
_CHUNK = 512

_BEGIN = f"""
import machine
machine.WDT(timeout={_WATCHDOG_MS})
print(repr(globals().get('running_release', 0)))
"""
# Whether the running slot is new or pending, as otadata has it: nothing in a release has a name to rely on.
_TRIAL = """
import esp32, struct
from binascii import crc32
slot = esp32.Partition(esp32.Partition.RUNNING).info()[1] - 16
entry = bytearray(32)
newest, state = 0, 2
for sector in (0, 1):
    esp32.Partition.find(esp32.Partition.TYPE_DATA, label='otadata')[0].readblocks(sector, entry, 0)
    number = struct.unpack_from('<I', entry, 0)[0]
    told, checksum = struct.unpack_from('<II', entry, 24)
    right = number not in (0, 0xFFFFFFFF) and checksum == crc32(bytes(entry[:4]), 0xFFFFFFFF)
    if right and (number - 1) % 2 == slot and number > newest:
        newest, state = number, told
print(state in (0, 1))
"""
# one file a line, so that a long list neither fills the heap nor looks like silence
_LIST = """
import hashlib, os
def _hash(path):
    digest = hashlib.sha256()
    buffer = bytearray(512)
    with open(path, 'rb') as file:
        while True:
            size = file.readinto(buffer)
            if not size:
                return digest.digest()
            digest.update(memoryview(buffer)[:size])
def _walk(folder):
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        path = folder + '/' + name
        if os.stat(path)[0] & 0x4000:
            for found in _walk(path):
                yield found
        else:
            yield path
"""


@dataclass
class Plan:
    """files: what /deployed should hold, path there -> content. gone: what the release has and lib/ no more."""

    files: dict[str, bytes] = field(default_factory=dict)
    gone: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The files by the names that a person knows them by."""
        return tuple(sorted(path.removeprefix("lib/") for path in self.files))

    def start(self) -> bytes:
        """start.py for these files."""
        head = f"DEPLOYED = {self.names!r}\nGONE = {self.gone!r}\n"
        return head.encode() + _START.read_bytes()


def plan(release: dict[str, bytes], board: dict[str, bytes], lib: Path) -> Plan:
    """What has to be deployed from `lib` and from boot.py and main.py beside it.

    release: path -> SHA-256 of what the running release holds; board: the same of boot.py and main.py on the board.
    """
    local = _as_in(release, lib)
    result = Plan()
    for path, content in local.items():
        digest = hashlib.sha256(content).digest()
        name = path.removeprefix("board/")
        if name in BOARD_FILES and path != name:
            if board.get(name) != digest:
                result.files[name] = content
        elif release.get(path) != digest:
            result.files[f"lib/{path}"] = content
    result.gone = tuple(sorted(path for path in release if path not in local and not path.startswith(_NOT_PART)))
    return result


def _as_in(release: dict[str, bytes], lib: Path) -> dict[str, bytes]:
    """The application's files in the form that the release has: as text, compiled, or compiled and merged."""
    if any(path.endswith(".py") for path in release if not path.startswith(_NOT_PART)):
        return application_files(lib, source=True)
    plain = application_files(lib)
    try:
        merged = merged_files(lib)[0]
    except ToolError:
        if _count_differing(release, plain) > len(plain) // 2:
            raise  # this isn't the form that the release has
        return plain
    return min(merged, plain, key=lambda files: _count_differing(release, files))


def _count_differing(release: dict[str, bytes], files: dict[str, bytes]) -> int:
    """How many files of either differ from the other's, or aren't there."""
    hashes = {path: hashlib.sha256(content).digest() for path, content in files.items()}
    return sum(hashes.get(path) != release.get(path) for path in {*hashes, *release} if not path.startswith(_NOT_PART))


def deploy(port: str, lib: Path, say: Callable[[str], None]) -> str:
    """Bring what differs to the board and restart it; what it runs then, in its own words."""
    with linked(port) as link:
        over = _begin(link)
        try:
            any_left = _bring(link, over, lib, say)
        except (ToolError, TransportExecError):
            _restart(link, for_s=0)  # it goes on with what it has
            raise
        said = _restart(link)
        if not any_left:
            return said or "nothing differs from the release on the board: it runs that"
        if "runs the deployed copy" not in said:
            raise ToolError(
                f"{port}: the files are on the board, but it doesn't say that it runs them"
                + (f"; it says: {said}" if said else "; look with `thermokeeper console`")
            )
        return said


def clear(port: str) -> str:
    """Take off what was deployed and restart the board."""
    with linked(port) as link:
        link.stop_program()
        link.run(_BEGIN)
        count = _clear(link)
        _restart(link, for_s=0)
        files = "1 file" if count == 1 else f"{count} files"
        return f"{files} taken off: the board runs its release" if count else "nothing was deployed on the board"


def _begin(link: Link) -> bytes:
    """Stop the program, and keep the watchdog quiet; the digest of the release that runs."""
    link.stop_program()
    digest = ast.literal_eval(link.run(_BEGIN).strip().splitlines()[-1])
    if digest == 0:
        _restart(link, for_s=0)
        raise ToolError("the boot.py on this board knows nothing of deployed files; `thermokeeper flash` it once")
    if not isinstance(digest, bytes):
        _restart(link, for_s=0)
        raise ToolError("the board runs no release that files could be deployed over; `thermokeeper flash` it first")
    if link.run(_TRIAL).strip() == "True":
        link.serial.write(b"\x02\x04")  # a soft reset: the bootloader would take a hard one for the end of the trial
        raise ToolError("the release on this board is on trial; deploy when it has been confirmed")
    return digest


def _bring(link: Link, over: bytes, lib: Path, say: Callable[[str], None]) -> bool:
    """Make /deployed what it should be; False if nothing has to be there."""
    wanted = plan(_hashes(link, "/release"), _hashes(link, "", BOARD_FILES), lib)
    if not wanted.files and not wanted.gone:
        _clear(link)
        return False
    there = _hashes(link, FOLDER)
    content = {**wanted.files, "start.py": wanted.start()}
    changed = {name: data for name, data in content.items() if there.get(name) != hashlib.sha256(data).digest()}
    stale = [name for name in there if name not in content and name != "over"]
    if changed or stale or _over(link) != over:
        _write(link, over, changed, stale, say)
    return True


def _hashes(link: Link, folder: str, names: tuple[str, ...] | None = None) -> dict[str, bytes]:
    """Path below the folder -> SHA-256; of all files, or of those of these names that are there."""
    files = f"_walk({folder!r})" if names is None else f"[n for n in os.listdir('/') if n in {names!r}]"
    said = link.run(f"{_LIST}\nfor path in {files}:\n    print(repr((path, _hash(path))))")
    pairs = [ast.literal_eval(line) for line in said.splitlines() if line.strip()]
    return {path[len(folder) + 1 :] if names is None else path: digest for path, digest in pairs}


def _over(link: Link) -> bytes | None:
    code = f"try:\n    print(repr(open('{FOLDER}/over', 'rb').read()))\nexcept OSError:\n    print(None)"
    found = ast.literal_eval(link.run(code).strip())
    return found if isinstance(found, bytes) else None


def _write(link: Link, over: bytes, changed: dict[str, bytes], stale: list[str], say: Callable[[str], None]) -> None:
    link.run(f"import os\ntry:\n    os.remove('{FOLDER}/over')\nexcept OSError:\n    pass")
    for name in stale:
        link.fs_rmfile(f"{FOLDER}/{name}")
    folders = sorted({str(parent) for name in changed for parent in PurePosixPath(f"{FOLDER}/{name}").parents} - {"/"})
    needed = sum(-(-len(data) // _BLOCK) for data in changed.values())
    needed += _FOLDER_BLOCKS * len(folders) + _SPARE_BLOCKS
    block, free = ast.literal_eval(link.run("import os\ns = os.statvfs('/')\nprint((s[0], s[3]))").strip())
    if needed * _BLOCK > block * free:
        largest = sorted(changed, key=lambda name: len(changed[name]), reverse=True)[:3]
        raise ToolError(
            f"{len(changed)} files differ from the release on the board, and they need {needed * _BLOCK >> 10} KiB of "
            f"{block * free >> 10} KiB free there ({', '.join(largest)}, ...); flash or publish a release with them"
        )
    for folder in folders:
        link.run(f"import os\ntry:\n    os.mkdir({folder!r})\nexcept OSError:\n    pass")
    for name, data in sorted(changed.items()):
        path = f"{FOLDER}/{name}"
        say(f"{name.removeprefix('lib/')}, {len(data)} bytes")
        link.fs_writefile(path, data, chunk_size=_CHUNK)
    written = _hashes(link, FOLDER)
    wrong = [name for name, data in changed.items() if written.get(name) != hashlib.sha256(data).digest()]
    if wrong:
        raise ToolError(f"{', '.join(wrong)} can't be read back from the board as it was written; deploy again")
    link.fs_writefile(f"{FOLDER}/over.new", over)
    link.run(f"import os\nos.rename('{FOLDER}/over.new', '{FOLDER}/over')")


def _clear(link: Link) -> int:
    """Remove everything in the folder, what makes it count first; how many deployed files there were."""
    there = _hashes(link, FOLDER)
    for name in sorted(there, key=lambda name: name != "over"):
        link.fs_rmfile(f"{FOLDER}/{name}")
    link.run(
        "import os\ndef _remove(folder):\n    for name in os.listdir(folder):\n        _remove(folder + '/' + name)\n"
        f"    os.rmdir(folder)\ntry:\n    _remove('{FOLDER}')\nexcept OSError:\n    pass"
    )
    return len([name for name in there if name not in ("over", "over.new", "start.py")])


def _restart(link: Link, for_s: float = 20) -> str:
    """Restart the board; what its boot.py says of what was deployed, if it does."""
    link.restart()
    for line in link.lines(for_s) if for_s else ():
        topic, _, text = line.partition("tk: boot: ")
        if not topic and "deployed" in text:
            return text
        if line.startswith("tk: ") and not line.startswith("tk: boot:"):
            break  # the application has begun
    return ""
