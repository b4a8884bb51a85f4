"""What an update from each earlier release costs: what a device that runs it downloads to get another one.

A device copies a part that its running release has, too, and of one in "blocks" the blocks that it has; it fetches the
header, twice (to decide, and to write it last), and the rest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from keeper import release
from keeper.board.layout import REUSING
from keeper.errors import ReleaseError
from thermokeeper.errors import ToolError
from thermokeeper.files import read_bytes
from thermokeeper.release.builder import ReleaseFile, read_release
from thermokeeper.release.compression import fetched_bytes
from thermokeeper.release.examining import HEADERS_SIZE
from thermokeeper.release.filesystem import unpack
from thermokeeper.release.trust import read_trust


@dataclass(frozen=True)
class Update:
    """From one earlier release: `fetched` names the parts that aren't there yet, `refusal` says why it isn't taken."""

    path: Path
    version: str
    digest: str
    download_bytes: int
    fetched: tuple[str, ...]
    refusal: str


def read_known(paths: Sequence[Path], but: Path | None = None) -> list[ReleaseFile]:
    """The release files named, and those (*.tkr) in the folders named; `but`: not this one. Each release once."""
    found: dict[str, ReleaseFile] = {}
    for path in _files(paths):
        if but is None or path.resolve() != but.resolve():
            known = read_release(path)
            found.setdefault(known.manifest.digest, known)
    return list(found.values())


def updates(known: Sequence[ReleaseFile], data: bytes) -> list[Update]:
    """What devices with these releases would do about this one, signed or not yet."""
    return [_update(old, data) for old in known]


def table(rows: Sequence[Update], whole_bytes: int) -> list[str]:
    """The updates as lines for a person; whole_bytes: size of the new release's file."""
    if not rows:
        return ["no known release"]
    cells = [("from", "digest", "download", "of the file", "parts to fetch")]
    for row in rows:
        share = f"{100 * row.download_bytes / whole_bytes:.0f} %"
        names = row.refusal or " ".join(row.fetched) or "none"
        cells.append((row.version, row.digest[:16], f"{row.download_bytes} bytes", share, names))
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    return [
        f"{line[0]:<{widths[0]}}  {line[1]:<{widths[1]}}  {line[2]:>{widths[2]}}  {line[3]:>{widths[3]}}  {line[4]}"
        for line in cells
    ]


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.glob("*.tkr"))
        else:
            read_bytes(path, "an earlier release file (*.tkr), or a folder of them")
            yield path


def _update(old: ReleaseFile, data: bytes) -> Update:
    header = data[: release.HEADER_SIZE]
    manifest = release.parse(header)
    there = {(part.size, part.sha256) for part in old.manifest.parts}
    lacking = [part for part in manifest.parts if (part.size, part.sha256) not in there]
    if old.manifest.digest == manifest.digest:
        return Update(old.path, old.manifest.version, old.manifest.digest, 0, (), "the same release")
    size = HEADERS_SIZE
    for part in lacking:
        if part.encoding == REUSING:
            size += fetched_bytes(data[-part.stored :], part.size, old.fs)  # it is always the last part
        else:
            size += part.stored
    refusal = _refusal(old, header, manifest)
    names = tuple(part.name for part in lacking)
    return Update(old.path, old.manifest.version, old.manifest.digest, size, names, refusal)


def _refusal(old: ReleaseFile, header: bytes, manifest: release.Manifest) -> str:
    """Why a device that runs `old` would not take it; "" if it would, as far as can be told here."""
    before = old.manifest
    try:
        # the slot's size isn't known here; what it refuses for that, `release inspect` shows by flash size
        release.check(manifest, before.product, before.chip, manifest.slot_size, before.security)
        if release.is_signed(header):
            try:
                trust = read_trust(unpack(old.fs))
            except ToolError as error:
                return f"its trust can't be read: {error}"
            release.verify(header, trust.keys)
    except ReleaseError as error:
        return f"refused: {error}"
    return ""
