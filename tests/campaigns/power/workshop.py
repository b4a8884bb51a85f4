"""The releases of the campaign's life and the board's first flash, made from lib/, with a guard taken out or none.

1.0.0  what the board is made with
2.0.0  another application image, all of it downloaded
3.0.0  never sees its sensor, so its trial fails; has the application image of 2.0.0, so that is copied
4.0.0  as 3.0.0, but it works; stored compressed; signed with the old key, trusts the new one as well
5.0.0  a new image and newer boot files; signed with the new key, revokes the old one
6.0.0  of another product, to which a DMS moves the board; the image of 2.0.0
"""

from __future__ import annotations

import ast
import functools
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import images
from keeper.release import key_id
from thermokeeper.files import PROJECT
from thermokeeper.formats import factory_record, nvs
from thermokeeper.formats.partitions import table_for
from thermokeeper.image import builder as image_builder
from thermokeeper.release import builder, keys
from thermokeeper.release.application import application_files, trust_module
from thermokeeper.release.filesystem import pack_smallest
from thermokeeper.release.firmware import read_firmware

SERIAL = "THERM00000000000001"
PRODUCT = "thermometer"
OTHER_PRODUCT = "lamp"
FAILING = "3.0.0"
TABLE = table_for("4MiB")
_APP_BYTES = 20_000
_CREATED = "2026-11-21T20:13:18Z"

# A change of the device's code: (file, text that stands in it once, text instead).
Change = tuple[str, str, str]

# What the campaign hurries. A step of the main loop is longer, because virtual hours are made of them; the checkpoint
# steps are shorter, because the releases are so small that they would have none.
PACE: tuple[Change, ...] = (
    ("thermometer/station/station.py", "_STEP_MS = 100\n", "_STEP_MS = 1000\n"),
    ("thermometer/app.py", "time.sleep_ms(50)", "time.sleep_ms(1000)"),
    ("keeper/updating/checkpoint.py", "STEP_SIZE = 256 * 1024", "STEP_SIZE = 48 * 1024"),
)
# On MicroPython time is real.
REAL_TIME_PACE: tuple[Change, ...] = (
    ("keeper/remembering/ledger.py", "(3_600_000, 6 * 3_600_000)", "(3_000, 600_000)"),
    ("keeper/updating/checkpoint.py", "STEP_SIZE = 256 * 1024", "STEP_SIZE = 48 * 1024"),
)
_BLIND: Change = (
    "thermometer/app.py",
    "health.sensor_ok = self._sampler.sensor_ok or self._excused",
    "health.sensor_ok = False",
)
_SHORT_TRIAL: tuple[Change, ...] = (
    ("thermometer/station/station.py", "_TRIAL_MS = 10 * 60_000", "_TRIAL_MS = 3_000"),
    ("thermometer/station/station.py", "_WATCHDOG_MS = 60_000", "_WATCHDOG_MS = 2_000"),
)
# version: (application image, key that signs, keys that it trusts, changes of the code, product)
_RECIPES: dict[str, tuple[str, str, tuple[str, ...], tuple[Change, ...], str]] = {
    "1.0.0": ("a", "old", ("old",), (), PRODUCT),
    "2.0.0": ("b", "old", ("old",), (), PRODUCT),
    "3.0.0": ("b", "old", ("old",), (_BLIND, *_SHORT_TRIAL), PRODUCT),
    "4.0.0": ("b", "old", ("old", "new"), (), PRODUCT),
    "5.0.0": ("c", "new", ("new",), (), PRODUCT),
    "6.0.0": ("b", "old", ("old",), (), OTHER_PRODUCT),
}
PRODUCT_OF = {version: recipe[-1] for version, recipe in _RECIPES.items()}
RECORD = {"period_s": 60, "report_s": 900, "sync_s": 900, "alive_s": 3}
REAL_TIME_RECORD = {"period_s": 1, "report_s": 5, "sync_s": 1, "alive_s": 0}


@dataclass(frozen=True)
class Works:
    """What a campaign is made of. flash: of a new board, its factory record still to be written."""

    releases: dict[str, bytes]
    slots: dict[str, bytes]
    digests: dict[str, str]
    flash: bytes
    source: bool
    revoked: str

    def flash_for(self, url: str, more: dict[str, str]) -> bytearray:
        """The flash of a new board that is to call this server; more: members of its factory record."""
        members: dict[str, Any] = {**(RECORD if self.source else REAL_TIME_RECORD), **more}
        record = factory_record.pack(SERIAL, PRODUCT, url, plain_http=True, **members)
        flash = bytearray(self.flash)
        start = TABLE["factory"].offset
        flash[start : start + len(record)] = record
        return flash


def make_keys(folder: Path) -> None:
    """The vendor's two keys, made anew for each campaign."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("old", "new"):
        keys.generate(folder / f"{name}.pem", None)


def make(
    folder: Path, key_folder: Path, versions: tuple[str, ...], changes: tuple[Change, ...] = (), source: bool = True
) -> Works:
    """These releases, the first of which a new board has, with the changes in each; `source`: for CPython."""
    signing = {name: keys.load_private(key_folder / f"{name}.pem", str) for name in ("old", "new")}
    moduli = {name: keys.modulus_of(key.public_key()) for name, key in signing.items()}
    pace = PACE if source else REAL_TIME_PACE
    images_of = {
        name: images.application(_APP_BYTES, fill=fill) for name, fill in zip("abc", (0x5A, 0x33, 0x77), strict=True)
    }
    releases = {}
    for version in versions:
        image, key, trusts, more, product = _RECIPES[version]
        lib = _patched(folder / version, (*pace, *more, *changes), 2 if version == "5.0.0" else 1, source)
        revoked = [key_id(moduli["old"])] if version == "5.0.0" else []
        # as it says which release it is of, no two file systems are the same
        files = application_files(lib, source) | trust_module([moduli[name] for name in trusts], source, revoked)
        data = builder.build(
            images_of[image],
            pack_smallest(files | {"version.txt": version.encode()}),
            product=product,
            version=version,
            chip="esp32",
            security=1,
            created=_CREATED,
            compressed=version == "4.0.0",
        )
        releases[version] = builder.sign(data, signing[key])
    parsed = {version: builder.parse_release(data, Path(version)) for version, data in releases.items()}
    return Works(
        releases,
        {version: found.slot() for version, found in parsed.items()},
        {version: found.manifest.digest for version, found in parsed.items()},
        _flash(folder, parsed[versions[0]], images_of[_RECIPES[versions[0]][0]]),
        source,
        key_id(moduli["old"]),
    )


def _flash(folder: Path, release: builder.ReleaseFile, image: bytes) -> bytes:
    firmware = folder / "firmware.bin"
    firmware.write_bytes(images.whole_firmware(image))
    pieces = image_builder.pieces(
        read_firmware(firmware),
        release,
        factory_record.pack(SERIAL, PRODUCT, "http://127.0.0.1", plain_http=True),
        [nvs.parse_network("workshop:thermometer")],
        image_builder.read_vfs_files(PROJECT),
        "4MiB",
        PRODUCT,
    )
    return image_builder.assemble(pieces, "4MiB")


def _patched(folder: Path, changes: tuple[Change, ...], revision: int, source: bool) -> Path:
    """A copy of lib/ with changes, and the boot files beside it with this revision."""
    lib = folder / "lib"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(PROJECT / "lib", lib, ignore=shutil.ignore_patterns("__pycache__"))
    for name, old, new in changes:
        path = lib / name
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise AssertionError(
                f"lib/{name} has {old!r} {text.count(old)} times; the campaign's change expects it once"
            )
        path.write_text(text.replace(old, new), encoding="utf-8")
    if source:
        for path in lib.rglob("*.py"):
            path.write_text(shortened(path.read_text(encoding="utf-8")), encoding="utf-8")
    for name in ("boot.py", "main.py"):
        first, _, rest = (PROJECT / name).read_text(encoding="utf-8").partition("\n")
        text = re.sub(r"\d+$", lambda found: str(int(found[0]) + revision - 1), first) + "\n" + rest
        (folder / name).write_text(text, encoding="utf-8")
    return lib


@functools.lru_cache(maxsize=512)  # most files are the same in all releases
def shortened(text: str) -> str:
    """Python source without what only people read: the fewer blocks a release has, the fewer there are to cut at."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    lines = ast.unparse(tree).split("\n")
    # four spaces less for each step in; no text of ours goes over lines once the docstrings are gone
    return "".join(" " * ((len(line) - len(line.lstrip(" "))) // 4) + line.lstrip(" ") + "\n" for line in lines)
