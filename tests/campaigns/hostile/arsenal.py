"""Makes the hostile cases: those of corpus/ and of the tables here, and as many random ones as BUDGET says.

A case is small: a file of the arsenal and what to change in it. Names are for good: `damage/17` is the same case in
every run but for the key, which is made anew for each. What a case must come to is its `stage`:

    header      refused before anything is written          fine    installed, selected, and it is what was signed
    content     begun, then refused, nothing is selected    trial   the same; only a trial can show that it is bad
    unbootable  complete, but the bootloader refuses it     any     refused, or installed as it was signed
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import os
import random
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

import images
import releases
from extent import WHOLE
from fake_flash import SLOT_SIZE, sealed_record, slot_content
from keeper import release
from keeper.board.layout import CHUNK_SIZES
from thermokeeper.errors import ToolError
from thermokeeper.release import compression, filesystem, keys

CORPUS = Path(__file__).parent / "corpus"
# random cases of each family
BUDGET = {"damage": 90, "answer": 160, "packed": 60, "header": 120}
BUDGET.update({"boot": 90, "lfs": 120, "record": 150, "factory": 100})
TIMES = int(os.environ.get("HOSTILE_TIMES", "1"))  # a longer search: so many times the budget
MICROPYTHON_FLIPS = 19  # of the changed header bytes MicroPython plays each 19th, all bits by turns
HOWS = ("whole", "range", "json", "chunked", "close")
Case = dict[str, Any]

APP_PY = b"def run():\n    import machine\n    machine.ran.append(1)\n"


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Arsenal:
    """`folder` gets the files that cases are made of; `cases` lists them, in an order that never changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cases: list[Case] = []
        self._bases: dict[str, bytes] = {}
        self._make_bases()
        for make in (
            self._flips,
            self._swaps,
            self._lengths,
            self._manifests,
            self._applications,
            self._odd_parts,
            self._chunks,
            self._damage,
            self._headers,
            self._answers,
            self._records,
            self._slots,
            self._file_systems,
        ):
            make()

    def chosen(self, runtime: str) -> list[Case]:
        """The cases that a runtime plays: on MicroPython fewer flips and random ones, as they take longer there."""
        only = os.environ.get("HOSTILE_CASE")
        if only:
            return [case for case in self.cases if case["name"] == only]
        flips = [case for case in self.cases if case["name"].startswith("flip/")]
        others = [case for case in self.cases if not case["name"].startswith("flip/")]
        if not WHOLE:  # of those that are only random, whose names end in a number, some
            flips = flips[::16]
            others = [case for case in others if not re.search(r"/\d*[1-9]$", case["name"])]
        if runtime == "cpython":
            return flips + others
        if not WHOLE:
            families: dict[str, list[Case]] = {}
            for case in others:
                families.setdefault(case["name"].split("/")[0], []).append(case)
            others = [case for family in families.values() for case in family[::6]]
        # of those that are only random, whose names end in a number, every other one
        return flips[::MICROPYTHON_FLIPS] + [case for case in others if not re.search(r"/\d*[13579]$", case["name"])]

    def index(self, name: str, cases: list[Case]) -> str:
        """Write an index file for play.py; its name."""
        (self.folder / name).write_text("".join(json.dumps(case) + "\n" for case in cases))
        return name

    # what cases are made of

    def _make_bases(self) -> None:
        self.app = images.application(5000, fill=3)
        self.fs = filesystem.pack({"module.py": b"WORD = 'new'\n"}, 2 * 4096)
        self.boot_fs = filesystem.pack({"thermometer/__init__.py": b"", "thermometer/app.py": APP_PY}, 5 * 4096)
        self.fields = releases.manifest(self.app, self.fs, version="2.0.0")
        self.head = _header(self.fields)
        self.good = self.head + self.app + self.fs
        other_app = images.application(5000, fill=9)
        other_fs = filesystem.pack({"module.py": b"WORD = 'other'\n"}, 2 * 4096)
        self.other_head = _header(releases.manifest(other_app, other_fs, version="3.0.0"))
        self.other_app, self.other_fs = other_app, other_fs
        old_app, old_fs = images.application(4500, fill=1), b"old." * 1024
        old_head = _header(releases.manifest(old_app, old_fs, version="1.0.0"))
        self.running = release.digest(old_head)
        self.old_app, self.old_fs = old_app, old_fs
        self._base("old", slot_content(old_app, old_head, old_fs))
        self._base("good", self.good)
        self._base("good.slot", slot_content(self.app, self.head, self.fs))
        self.packed_app, self.packed_fs = compression.pack(self.app), compression.pack(self.fs)
        fields = self._encoded(self.packed_app, self.packed_fs)
        head = _header(fields)
        self.packed = head + self.packed_app + self.packed_fs
        self._base("packed", self.packed)
        self._base("packed.slot", slot_content(self.app, head, self.fs))
        self.boot_fields = releases.manifest(self.app, self.boot_fs, version="2.0.0")
        self._base("boot", slot_content(self.app, _header(self.boot_fields), self.boot_fs))
        (self.folder / "keys").write_text(json.dumps({releases.KEY_ID: releases.MODULUS.hex()}))

    def _base(self, name: str, data: bytes) -> str:
        self._bases[name] = data
        (self.folder / name).write_bytes(data)
        return name

    def _unpacks(self, data: bytes) -> bool:
        """Whether it stands for the same parts all the same: the last byte of a chunk has bits that say nothing."""
        end = 4096 + len(self.packed_app)
        try:
            app = compression.unpack(data[4096:end], len(self.app))
            return app == self.app and compression.unpack(data[end:], len(self.fs)) == self.fs
        except ToolError:
            return False

    def _encoded(self, app: bytes, fs: bytes, **changes: Any) -> dict[str, Any]:
        fields = json.loads(json.dumps(self.fields))
        for part, stored in zip(fields["parts"], (app, fs), strict=True):
            part["encoding"], part["stored"] = compression.ENCODING, len(stored)
        return {**fields, **changes}

    def _add(self, name: str, stage: str, data: bytes, how: str = "whole", base: str = "good", **more: Any) -> None:
        """A release file `data`, as changes of a base; as a file of its own if there is too much of that."""
        edits = _edits(self._bases[base], data)
        if sum(len(edit[2]) for edit in edits) > 1500:
            base, edits = self._base(f"file-{len(self._bases)}", data), []
        case = {"kind": "release", "name": name, "stage": stage, "how": how, "base": base, "edits": edits, **more}
        if stage in ("fine", "any") and "wire" not in how and not more.get("plain"):
            case["plain"] = self._plain(data[:4096], self.app, self.fs)
        self.cases.append({key: value for key, value in case.items() if value != ""})

    def _plain(self, head: bytes, app: bytes, fs: bytes) -> str:
        """What a slot has to hold if this is installed; the file's name without `.slot`."""
        content = slot_content(app, head, fs)
        for name in ("good", "packed"):
            if content == self._bases[name + ".slot"]:
                return name
        name = f"plain-{len(self._bases)}"
        self._base(name + ".slot", content)
        return name

    def _signed(self, name: str, stage: str, app: bytes, fs: bytes, why: str = "", **changes: Any) -> None:
        """A release whose manifest says the truth of its parts, but for `changes`, correctly signed."""
        fields = releases.manifest(app, fs, version="2.0.1")
        for key, value in changes.items():
            part, _, field = key.partition("_")
            fields["parts"][0 if part == "app" else 1][field] = value
        head = _header(fields)
        plain = self._plain(head, app, fs) if stage in ("fine", "any") else ""
        self._add(name, stage, head + app + fs, why=why, plain=plain)

    # the families

    def _flips(self) -> None:
        """Every byte of the header with one bit changed; of some bytes, every bit."""
        sample = {*range(12), 60, 61, len(json.dumps(self.fields)) + 9, len(json.dumps(self.fields)) + 10}
        sample |= {3000, 3711, 3712, 3713, 4000, 4094, 4095} | set(_random("flip").sample(range(4096), 20))
        for position in range(4096):
            for bit in range(8) if position in sample else (position % 8,):
                data = bytearray(self.good)
                data[position] ^= 1 << bit
                self._add(f"flip/{position}.{bit}", "header", bytes(data))

    def _swaps(self) -> None:
        """What two signed releases are made of, in every other combination."""
        mine = {"head": self.head, "app": self.app, "fs": self.fs}
        theirs = {"head": self.other_head, "app": self.other_app, "fs": self.other_fs}
        for app in (mine, theirs):
            for fs in (mine, theirs):
                if app is mine and fs is mine:
                    continue
                which = f"{'app' if app is theirs else ''}{'fs' if fs is theirs else ''}"
                for how in HOWS:
                    data = self.head + app["app"] + fs["fs"]
                    self._add(f"swap/{which}/{how}", "content", data, how, why="SHA-256 differs")
        for name, head in (
            ("signature", self.head[:3712] + self.other_head[3712:]),
            ("manifest", self.other_head[:3712] + self.head[3712:]),
            ("padding", self.head[:3000] + b"\0" * 712 + self.head[3712:]),
            ("half", self.head[:2048] + self.other_head[2048:]),
            ("digest at its place", self.head[:3712] + b"\0" * 352 + hashlib.sha256(self.head[:3712]).digest()),
            ("signature 0", self.head[:3712] + b"\0" * 384),
            ("signature 1", self.head[:3712] + b"\0" * 383 + b"\1"),
            ("signature none", self.head[:3712] + b"\xff" * 384),
            ("signature of the modulus", self.head[:3712] + releases.MODULUS),
            ("signature below the modulus", self.head[:3712] + (releases.N - 1).to_bytes(384, "big")),
            ("signature beyond the modulus", self.head[:3712] + _more(self.head[3712:])),
        ):
            self._add(f"swap/{name}", "header", head + self.app + self.fs)
        self._add("swap/order", "content", self.head + self.fs + self.app)
        self._add("swap/twice the header", "content", self.head + self.head + self.app[4096:] + self.fs)
        self._add("swap/no header", "header", self.app + self.fs)

    def _lengths(self) -> None:
        whole, app_end = len(self.good), 4096 + len(self.app)
        cuts = (0, 1, 7, 8, 9, 10, 11, 300, 3711, 3712, 4095, 4096, 4097, 8191, 8192, 8193)
        cuts += (app_end - 1, app_end, app_end + 1, app_end + 4096, whole - 4096, whole - 1)
        for cut in sorted({*cuts}):
            for how in (*HOWS, "short"):
                stage = "content" if cut >= 4096 and how in ("json", "chunked", "close", "short") else "header"
                self._add(f"length/{cut}/{how}", stage, self.good[:cut], how, says=whole)
        for more in (1, 15, 16, 2048, 4096, 70000):
            for how in HOWS:
                stage = "header" if how in ("whole", "range") else "content"
                self._add(f"length/+{more}/{how}", stage, self.good + b"\xff" * more, how)
        for more in (0, 1, 4096):
            self._add(f"length/twice {more}", "header", self.good + self.good[:more] + self.good)
        for at in (0, 10, 4096, 5000, app_end):
            data = self.good[:at] + b"\0" + self.good[at:]
            self._add(f"length/one byte in at {at}", "header", data)
            self._add(f"length/one byte instead at {at}", "content" if at >= 4096 else "header", data[:-1])
        for size in (0, 1, 2, 3701, 3702, 3703, 3712, 4086, 0x7FFF, 0x8000, 0xFFFF):
            head = self.head[:8] + struct.pack("<H", size) + self.head[10:]
            self._add(f"length/manifest says {size}", "header", head + self.app + self.fs)
            self._add(f"length/manifest says {size}, signed", "header", _resigned(head) + self.app + self.fs)

    def _manifests(self) -> None:
        for name, stage, why, text in _corpus("manifests.txt", 4):
            head = _header(self._filled(text))
            data = head + self.app + self.fs
            self._add("manifest/" + name, stage, data, why=why)

    def _applications(self) -> None:
        """Signed by mistake: an application that the manifest describes rightly, and that is no good."""
        app, fs = self.app, self.fs
        for name, count in (("0", 0), ("1", 1), ("16", 16), ("17", 17), ("255", 255)):
            self._signed(f"app/segments {name}", "content", app[:1] + bytes([count]) + app[2:], fs)
        self._signed("app/segments 3", "unbootable", app[:1] + b"\3" + app[2:], fs)
        for name, size in (
            ("all ones", 0xFFFFFFFF),
            ("that wrap to right", 0x100000000 - 24),
            ("largest even", 0xFFFFFFFC),
            ("2^31", 1 << 31),
            ("odd", 1001),
            ("0", 0),
            ("of the slot", SLOT_SIZE),
            ("past the part", len(app)),
        ):
            self._signed(f"app/segment length {name}", "content", app[:28] + struct.pack("<I", size) + app[32:], fs)
        for number in (1, 2, 4, 9, 13, 99, 0x100, 0xFFFF):
            data = app[:12] + struct.pack("<H", number) + app[14:]
            self._signed(f"app/chip {number}", "content", data, fs, "chip")
        for byte in (2, 0x80, 255):
            self._signed(f"app/hash byte {byte}", "content", app[:23] + bytes([byte]) + app[24:], fs, "not an ESP32")
        self._signed("app/hash byte 0", "content", app[:23] + b"\0" + app[24:], fs, "its manifest says")
        self._signed("app/magic", "content", b"\xea" + app[1:], fs, "not an ESP32")
        self._signed("app/blank", "content", b"\xff" * 4096, fs, "not an ESP32")
        self._signed("app/zero", "content", b"\0" * 4096, fs, "not an ESP32")
        self._signed("app/16 bytes", "content", app[:16], fs)
        self._signed("app/24 bytes and no segments", "content", app[:32], fs)
        self._signed("app/longer by 16", "content", app + b"\0" * 16, fs, "its manifest says")
        self._signed("app/longer by a block", "content", app + b"\xff" * 4096, fs, "its manifest says")
        self._signed("app/shorter by 16", "content", app[:-16], fs)
        self._signed("app/shorter by a block", "content", app[:-4096], fs)
        merged = images.whole_firmware(app)[:0x9000]
        self._signed("app/merged flash image", "content", merged, fs, "whole flash image")
        self._signed("app/merged for flash 0", "content", images.whole_firmware(app, start=0)[:0x9000], fs)
        self._signed("app/bootloader", "content", images.bootloader(9), fs, "chip")
        self._signed("app/a release file", "content", self.good[: len(self.good) // 16 * 16], fs, "not an ESP32")
        self._signed("app/a file system", "content", fs, fs, "not an ESP32")
        broken = bytearray(app)
        broken[200] ^= 1
        self._signed("app/wrong hash inside", "unbootable", bytes(broken), fs, "isn't bootable")
        bare = images.image([(0x3F400020, b"text" * 500)], with_hash=False)
        self._signed("app/wrong checksum", "unbootable", bare[:-1] + bytes([bare[-1] ^ 1]), fs, "isn't bootable")
        self._signed("app/without a hash", "fine", bare, fs)
        self._signed("app/as large as it fits", "fine", images.image([(0, bytes(SLOT_SIZE - 8192 - 80))]), fs[:4096])
        self._signed("app/one block too large", "header", images.image([(0, bytes(SLOT_SIZE - 8192 - 64))]), fs[:4096])

    def _odd_parts(self) -> None:
        """File systems that are none: their hash is right, and only a trial can tell. And the same content twice."""
        app, fs = self.app, self.fs
        for name, data in (("blank", b"\xff" * 8192), ("zero", b"\0" * 8192), ("text", b"fs" * 4096)):
            self._signed(f"fs/{name}", "trial", app, data)
        self._signed("fs/one block short of its own size", "trial", app, fs[:-4096])
        self._signed("fs/same as the running one's", "trial", app, self.old_fs)
        self._signed("fs/same as the running application", "trial", app, self.old_app[:4096])
        square = images.image([(0, bytes(8192 - 24 - 8 - 48))])
        assert len(square) == 8192
        self._signed("fs/both parts the same", "trial", square, square)
        self._signed("app/same as the running one's", "trial", self.old_app, fs)
        self._signed("fs/not whole blocks", "header", app, fs[:-1], "size of fs")
        self._signed("fs/hash of the running one's", "content", app, fs, "SHA-256", fs_sha256=_sha(self.old_fs))
        self._signed("fs/size of the running one's", "header", app, fs, "its manifest", fs_size=len(self.old_fs))

    def _chunks(self) -> None:
        """Compressed parts at the limits of their chunks."""

        def add(name: str, app: bytes, stage: str = "content", why: str = "", stored: int | None = None) -> None:
            for how in ("whole", "json", "range") if stored is None else ("whole", "range"):
                fields = self._encoded(app, self.packed_fs)
                if stored is not None:
                    fields["parts"][0]["stored"] = stored
                data = _header(fields) + app + self.packed_fs
                self._add(f"packed/{name}/{how}", stage, data, how, "packed", why=why)

        size = min(CHUNK_SIZES[compression.ENCODING], len(self.app))  # that the first chunk stands for
        first, rest = _first_chunk(self.packed_app)
        deflated = zlib.compressobj(9, zlib.DEFLATED, -15)
        far = deflated.compress(_random("far").randbytes(size // 2) * 2) + deflated.flush()
        for length in (0, size + 1, 0x7FFF, 0x8000, 0xFFFF):
            add(f"length {length}", struct.pack("<H", length) + first + rest, why="impossible length")
        add("length of what isn't deflated", struct.pack("<H", size) + first + rest)
        add("length one less", struct.pack("<H", len(first) - 1) + first + rest, why="can't be inflated")
        add("length one more", struct.pack("<H", len(first) + 1) + first + rest)
        for name, chunk in (
            ("zeros", bytes(50)),
            ("ones", b"\xff" * 50),
            ("one byte", b"\3"),
            ("an empty block", b"\3\0"),
            ("a stored block that lies", b"\1\xff\xff\0\0" + bytes(20)),
            ("a bomb", _deflated(bytes(1 << 20))),
            ("one byte too many", _deflated(self.app[:size] + b"x")),
            ("one byte too few", _deflated(self.app[: size - 1])),
            ("a distance before its start", b"\x63\0\x82\x81\x81\x01" + bytes(8)),
            ("zlib", zlib.compress(self.app[:size])),
            ("something behind the end", _deflated(self.app[:size]) + b"xxx"),
            ("random", _random("chunk").randbytes(900)),
            ("many empty blocks", b"\0\0\0\xff\xff" * 800),
        ):
            stage = "any" if name == "something behind the end" else "content"
            add(name, struct.pack("<H", len(chunk)) + chunk + rest, stage)
        add("large windows", struct.pack("<H", len(far) % 65536) + far + rest, "content")
        add("stored says one less", self.packed_app, "header", "its manifest", len(self.packed_app) - 1)
        add("no chunk", b"x", "content")
        generator = _random("packed")
        for number in range(TIMES * BUDGET["packed"]):
            data = self.packed[:4096] + _damaged(generator, self.packed[4096:])
            stage = "content" if len(data) == len(self.packed) and not self._unpacks(data) else "any"
            self._add(f"packed/{number}", stage, data, HOWS[number % 5], "packed")

    def _damage(self) -> None:
        generator = _random("damage")
        for number in range(TIMES * BUDGET["damage"]):
            data = self.head + _damaged(generator, self.good[4096:])
            how = HOWS[number % 5]
            stage = "content" if len(data) == len(self.good) else "any"
            self._add(f"damage/{number}", stage, data, how)

    def _headers(self) -> None:
        """Random damage of a manifest, and random JSON instead of one; signed, as nothing else would be read."""
        generator = _random("header")
        for number in range(TIMES * BUDGET["header"]):
            text = json.dumps(self.fields).encode()
            if number % 2:
                text = _damaged(generator, text)[:3702]
            else:
                fields = json.loads(text)
                places: list[Any] = [fields, fields["parts"][0], fields["parts"][1], fields["parts"]]
                place = places[number // 2 % 4]
                key = generator.choice(list(place) if isinstance(place, dict) else [0, 1])
                place[key] = _any_json(generator, 3)
                text = json.dumps(fields).encode()[:3702]
            head = _header(text)
            self._add(f"header/{number}", "any", head + self.app + self.fs)

    def _answers(self) -> None:
        texts = []
        for name, how, stage, why, text in _corpus("answers.txt", 5):
            text, endless, _ = (*re.split(rb"@ENDLESS\((.*)\)@$", text, flags=re.S), b"", b"")[:3]
            data = self._filled(text)
            texts.append((name, how, data))
            more = {"endless": endless.hex()} if endless else {}
            self._add("answer/" + name, stage, data, how, why=why, **more)
        generator = _random("answer")
        for number in range(TIMES * BUDGET["answer"]):
            _, how, data = generator.choice([text for text in texts if len(text[2]) > 20])
            for _ in range(generator.randint(1, 3)):
                data = _damaged(generator, data, head=generator.choice((60, 200, len(data))))
            self._add(f"answer/{number}", "any", data, how)

    def _records(self) -> None:
        found = []
        for place, text in _corpus("records.txt", 2):
            for one in ("cloud", "release", "policy", "resume", "networks", "factory") if place == "*" else (place,):
                found.append((one, self._filled(text)))
        generator = _random("record")
        seeds = list(found)
        for _ in range(TIMES * BUDGET["record"]):
            place, text = generator.choice(seeds)
            found.append((place, _damaged(generator, text or b"{}")[:1900]))
        for number, (place, text) in enumerate(found):
            if place == "factory":
                self._factory(f"factory/{number}", sealed_record(text[:4082]))
            else:
                space = "wifi" if place == "networks" else "keeper"
                case = {"kind": "record", "name": f"record/{number}", "stage": "any", "namespace": space}
                self.cases.append(
                    {**case, "place": place, "base": self._base(case["name"].replace("/", "-"), text[:1900])}
                )
        generator = _random("factory")
        sound = sealed_record(b'{"serial":"S","product":"p","service":"gadgetkeeper","server":"https://x"}')
        for number in range(TIMES * BUDGET["factory"]):
            self._factory(f"factory/any {number}", _damaged(generator, sound)[:4096])
        self.cases.sort(key=lambda case: case["kind"] == "factory")

    def _factory(self, name: str, content: bytes) -> None:
        base = self._base(name.replace("/", "-"), content)
        self.cases.append({"kind": "factory", "name": name, "stage": "any", "base": base})

    def _slots(self) -> None:
        """Slots for boot.py: anything behind an application, any application, any header."""
        slot, at = self._bases["boot"], len(self.app) + -len(self.app) % 4096

        def add(name: str, data: bytes, hungry: bool = False) -> None:
            edits = _edits(slot, data)
            base = "boot"
            if sum(len(edit[2]) for edit in edits) > 1500:
                base, edits = self._base(f"file-{len(self._bases)}", data), []
            case = {"kind": "boot", "name": name, "stage": "any", "base": base, "edits": edits}
            self.cases.append({**case, "hungry": True} if hungry else case)

        def manifest(name: str, text: bytes, size: int | None = None) -> None:
            """Only JSON of brackets or digits may take more than there is: what a header holds, not what it claims."""
            head = b"TKREL001" + struct.pack("<H", len(text) if size is None else size) + text
            hungry = text.count(b"[") + text.count(b"{") > 64 or b"9999" in text
            add(name, slot[:at] + (head + b"\xff" * 4096)[:4096] + slot[at + 4096 :], hungry)

        add("boot/good", slot)
        for name, content in (("empty", b""), ("application only", slot[:at]), ("zeros", slot[:at] + bytes(30000))):
            add("boot/" + name, content)
        add("boot/random behind", slot[:at] + _random("behind").randbytes(30000))
        for count in (0, 3, 17, 255):
            add(f"boot/segments {count}", slot[:1] + bytes([count]) + slot[2:])
        slots = (SLOT_SIZE, SLOT_SIZE - 32, SLOT_SIZE - 48)
        for size in (0, 1, 3, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFE8, *slots):
            add(f"boot/segment of {size}", slot[:28] + struct.pack("<I", size) + slot[32:])
        for byte in (0, 2, 255):
            add(f"boot/hash byte {byte}", slot[:23] + bytes([byte]) + slot[24:])
        for size in (-(1 << 31), -4096, -1, 0, 1, 4095, 4096, 8192, SLOT_SIZE, 1 << 24, 1 << 31, 1 << 32, 1 << 70):
            manifest(f"boot/fs of {size}", b'{"parts":[{"name":"fs","size":%d}]}' % size)
        for number, text in enumerate(
            (
                b'{"parts":[{"name":"fs","size":1e999}]}',
                b'{"parts":[{"name":"fs","size":8192.5}]}',
                b'{"parts":[{"name":"fs","size":true}]}',
                b'{"parts":[{"name":"fs","size":"' + b"9" * 3000 + b'"}]}',
                b'{"parts":[{"name":"fs","size":' + b"9" * 3000 + b"}]}",
                b'{"parts":' * 300,
                b"[" * 4086,
                b'{"a":' * 800,
                b'{"parts":[' + b'{"name":"fs","size":4096},' * 150 + b"{}]}",
                b'{"parts":{"name":"fs"}}',
                b'{"parts":"fs"}',
                b"\0" * 4086,
                b"\xff" * 4086,
                b'{"parts":[{"name":"fs","size":[[]]}]}',
            )
        ):
            manifest(f"boot/manifest {number}", text)
        for size in (0, 1, 4085, 4086, 4087, 0x7FFF, 0xFFFF):
            manifest(f"boot/manifest of {size}", json.dumps(self.boot_fields).encode(), size)
        generator = _random("boot")
        for number in range(TIMES * BUDGET["boot"]):
            data = bytearray(slot)
            start, end = ((0, 64), (at, at + 700), (at, at + 40))[number % 3]
            data[start:end] = _damaged(generator, bytes(data[start:end]))[: end - start].ljust(end - start, b"\0")
            add(f"boot/{number}", bytes(data))

    def _file_systems(self) -> None:
        """Damage of the file system that boot.py mounts: random, and in what LittleFS says of itself."""
        slot = self._bases["boot"]
        at = len(slot) - len(self.boot_fs)
        generator = _random("lfs")
        for number in range(TIMES * BUDGET["lfs"]):
            data = bytearray(self.boot_fs)
            for _ in range(generator.choice((1, 1, 2, 8, 40))):
                block = generator.choice((0, 0, 4096, 4096, generator.randrange(0, len(data), 4096)))
                place = block + generator.choice((generator.randrange(200), generator.randrange(4096)))
                data[place] ^= generator.choice((1, 0x80, 0xFF, generator.randrange(1, 256)))
            if number % 10 == 0:
                block = generator.randrange(0, len(data), 4096)
                other = generator.randrange(0, len(data), 4096)
                data[block : block + 4096] = data[other : other + 4096]
            if number % 2:
                _mend(data)
            self.cases.append(
                {
                    "kind": "boot",
                    "name": f"lfs/{number}",
                    "stage": "any",
                    "base": "boot",
                    "edits": [[at + start, size, text] for start, size, text in _edits(self.boot_fs, bytes(data))],
                }
            )

    def _filled(self, text: bytes) -> bytes:
        """A corpus line with its @...@ replaced."""
        part = {"app": self.fields["parts"][0], "fs": self.fields["parts"][1]}
        members = {name: self.fields[name] for name in self.fields if name != "parts"}
        coded = base64.b64encode(self.good)
        words = {
            b"APPSIZE": b"%d" % part["app"]["size"],
            b"FSSIZE": b"%d" % part["fs"]["size"],
            b"APPSHA": part["app"]["sha256"].encode(),
            b"FSSHA": part["fs"]["sha256"].encode(),
            b"APP": json.dumps(part["app"]).encode(),
            b"FS": json.dumps(part["fs"]).encode(),
            b"HEAD": json.dumps(members)[1:-1].encode(),
            b"KEY": releases.KEY_ID.encode(),
            b"GOOD": release.digest(self.head).encode(),
            b"RUNS": self.running.encode(),
            b"BODY": self.good,
            b"B64": coded,
            b"HEX": b"%x" % len(self.good),
            b"HEX+1": b"%x" % (len(self.good) + 1),
            b"LEN": b"%d" % len(self.good),
            b"LEN+1": b"%d" % (len(self.good) + 1),
            b"LEN-1": b"%d" % (len(self.good) - 1),
        }

        def but(match: re.Match[bytes]) -> bytes:
            left = {name: members[name] for name in members if name.encode() not in match[1].split(b",")}
            return json.dumps(left)[1:-1].encode()

        for name, word in words.items():
            if name not in (b"BODY", b"B64"):
                text = text.replace(b"@" + name + b"@", word)
        text = re.sub(rb"@BUT\((.*?)\)@", but, text)
        text = re.sub(rb"@ADD\((-?\d+),(-?\d+)\)@", lambda match: b"%d" % (int(match[1]) + int(match[2])), text)
        text = re.sub(rb"@FILL\((\d+)\)@", lambda match: b"x" * int(match[1]), text)
        text = re.sub(rb"@NEST\((\d+)\)@", lambda match: b"[" * int(match[1]), text)
        text = re.sub(rb"@NINES\((\d+)\)@", lambda match: b"9" * int(match[1]), text)
        text = re.sub(rb"@TIMES\((\d+),(.*?)\)@", lambda match: match[2] * int(match[1]), text, flags=re.S)
        if match := re.search(rb"@MEMBERS\((\d+)\)@", text):
            text = text.replace(match[0], b",".join(b'"%x":%d' % (n, n % 10) for n in range(int(match[1]))))
        text = re.sub(rb"@CUT\((\d+),(\d+)\)@", lambda match: self.good[int(match[1]) : int(match[2])], text)
        text = re.sub(rb"@CUTB64\((\d+)\)@", lambda match: coded[: int(match[1])], text)
        if match := re.search(rb"@UPTO\((\d+)\)@", text):
            text = text.replace(match[0], b"x" * (int(match[1]) - len(text) + len(match[0])))
        return text.replace(b"@B64@", coded).replace(b"@BODY@", self.good)


def _random(family: str) -> random.Random:
    return random.Random(f"thermokeeper {family}")


def _corpus(name: str, columns: int) -> list[Any]:
    """The lines of a corpus file: its columns as text, the last one as bytes."""
    rows: list[Any] = []
    for line in (CORPUS / name).read_text(encoding="ascii").splitlines():
        if line and not line.startswith("#"):
            *row, last = line.split("|", columns - 1)
            last = last.removeprefix(" ")
            rows.append((*(cell.strip() for cell in row), last.encode().decode("unicode_escape").encode("latin-1")))
    return rows


def _edits(base: bytes, data: bytes) -> list[list[Any]]:
    """What turns base into data: [offset, bytes removed, hex put in], in order."""
    if len(base) == len(data):
        found: list[list[Any]] = []
        for start, end in _runs(base, data):
            found.append([start, end - start, data[start:end].hex()])
        return found
    front = _same(base, data, min(len(base), len(data)))
    back = _same(base[::-1], data[::-1], min(len(base), len(data)) - front)
    return [[front, len(base) - front - back, data[front : len(data) - back].hex()]]


def _same(one: bytes, other: bytes, limit: int) -> int:
    """Number of equal bytes at the start, up to a limit."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def _runs(base: bytes, data: bytes) -> Iterator[tuple[int, int]]:
    """Where the two differ, differences less than 8 bytes apart taken together."""
    if base == data:
        return
    start = end = None
    for block in range(0, len(base), 256):
        if base[block : block + 256] == data[block : block + 256]:
            continue
        for at in range(block, min(block + 256, len(base))):
            if base[at] != data[at]:
                if start is None:
                    start = at
                elif at - end > 8:
                    yield start, end
                    start = at
                end = at + 1
    if start is not None:
        yield start, end


def _header(fields: dict[str, Any] | bytes) -> bytes:
    """As releases.header, signed with `cryptography`: hundreds are wanted."""
    return _resigned(releases.header(fields, signed=False))


def _resigned(head: bytes) -> bytes:
    return head[:3712] + keys.sign(_key(), head[:3712])


@functools.cache
def _key() -> rsa.RSAPrivateKey:
    """The test key."""
    public = rsa.RSAPublicNumbers(65537, releases.N)
    d = pow(65537, -1, (releases.P - 1) * (releases.Q - 1))
    return rsa.RSAPrivateNumbers(releases.P, releases.Q, d, releases.DP, releases.DQ, releases.QI, public).private_key()


def _more(signature: bytes) -> bytes:
    """The same number modulo the key's, if it fits."""
    number = int.from_bytes(signature, "big") + releases.N
    return (number if number < 1 << 3072 else releases.N).to_bytes(384, "big")


def _first_chunk(packed: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(packed[:2], "little")
    return packed[2 : 2 + length], packed[2 + length :]


def _deflated(data: bytes) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -compression.WINDOW_BITS[compression.ENCODING])
    return deflate.compress(data) + deflate.flush()


def _damaged(generator: random.Random, data: bytes, head: int | None = None) -> bytes:
    """`data` with one thing changed, in its first `head` bytes; it may get longer or shorter, and is never the same."""
    data = data or b"\0"
    result = bytearray(data)
    limit = min(head or len(data), len(data))
    at = generator.randrange(limit)
    size = generator.choice((1, 1, 2, 4, 16, 512, 4096))
    action = generator.randrange(8)
    if action == 0:
        result[at] ^= 1 << generator.randrange(8)
    elif action == 1:
        result[at : at + size] = generator.randbytes(len(result[at : at + size]))
    elif action == 2:
        result[at : at + size] = generator.choice((b"\0", b"\xff")) * len(result[at : at + size])
    elif action == 3:
        del result[at : at + size]
    elif action == 4:
        result[at:at] = result[at : at + size]
    elif action == 5:
        result[at:at] = generator.choice(_WORDS)
    elif action == 6:
        word = generator.choice(_WORDS)
        result[at : at + len(word)] = word[: len(result) - at]
    else:
        to = generator.randrange(limit)
        one, other = result[at : at + size], result[to : to + size]
        size = min(len(one), len(other), abs(at - to) or 1)
        result[at : at + size], result[to : to + size] = other[:size], one[:size]
    if result == data:
        result[at] ^= 0x55
    return bytes(result)


_WORDS = (
    *(b"0", b"-1", b"4294967296", b"1e999", b"true", b"null", b'"', b"\\", b"\\u0000", b"\\ud800"),
    *(b"[", b"{", b"}", b"]", b"\r\n", b"\r\n\r\n", b"\n", b"\0", b":", b",", b"=", b"=="),
    *(b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    *(b'"firmware":', b"ffffffff\r\n", b"\xff\xff\xff\xff", b"\x80", b"\xc3"),
)
_VALUES = (
    None,
    True,
    False,
    0,
    -1,
    1,
    4096,
    1 << 31,
    1 << 32,
    1 << 70,
    1.5,
    "",
    "app",
    "deflate",
    "x" * 40,
    "\0",
    "\u2028",
)


def _any_json(generator: random.Random, depth: int) -> Any:
    kind = generator.randrange(len(_VALUES) + (4 if depth else 0))
    if kind < len(_VALUES):
        return _VALUES[kind]
    inner = [_any_json(generator, depth - 1) for _ in range(generator.randrange(4))]
    return inner if kind % 2 else {f"{n}": value for n, value in enumerate(inner)}


def _mend(image: bytearray) -> None:
    """Make the checksums of a LittleFS2 image's first commits right again, so that the damage is believed."""
    for block in range(0, len(image), 4096):
        at, tag, digest = block + 4, 0xFFFFFFFF, _lfs_crc(0xFFFFFFFF, image[block : block + 4])
        while at + 4 <= block + 4096:
            raw = bytes(image[at : at + 4])
            tag ^= int.from_bytes(raw, "big")
            if tag & 0x80000000:
                break
            size = 0 if tag & 0x3FF == 0x3FF else tag & 0x3FF
            digest = _lfs_crc(digest, raw)
            if (tag >> 20) & 0x700 == 0x500 and (tag >> 20) & 0x7FF < 0x5FF:
                image[at + 4 : at + 8] = digest.to_bytes(4, "little")
                tag ^= ((tag >> 20) & 1) << 31
                digest = 0xFFFFFFFF
            else:
                digest = _lfs_crc(digest, bytes(image[at + 4 : at + 4 + size]))
            at += 4 + size


def _lfs_crc(crc: int, data: bytes) -> int:
    """LittleFS's CRC-32: zlib's without the inversion before and after."""
    return zlib.crc32(data, crc ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
