"""Compressed parts: what the host packs a device unpacks, on both runtimes; damage is named, and memory is bounded."""

from __future__ import annotations

import hashlib
import io
import os
import random
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import interpreter
from keeper.board.layout import CHUNK_SIZES, REUSING
from keeper.errors import NetError, ReleaseError
from keeper.inflating import chunks as inflate
from thermokeeper.errors import ToolError
from thermokeeper.release import compression

ENCODINGS = {name: size for name, size in CHUNK_SIZES.items() if name != REUSING}  # that one: test_blocks
LIB = Path(inflate.__file__).resolve().parents[2]
BLOCK = 4096


class Part:
    """What keeper.inflating asks of a part."""

    def __init__(self, size: int, encoding: str) -> None:
        self.size, self.encoding = size, encoding


# Takes packed parts apart as the installer does: `unpack.py FILE ENCODING`; the file has rows of u32 size, u32 packed
# size and packed bytes. For each it prints the SHA-256 of the part, or the error; then the most memory that was in use.
UNPACK = """
import binascii, gc, hashlib, struct, sys
from keeper.errors import NetError, ReleaseError
from keeper.inflating.chunks import Chunks

class Download:
    def __init__(self, file, size):
        self.file, self.left = file, size
    def fill(self, view):
        if len(view) > self.left or self.file.readinto(view) != len(view):
            raise NetError("ended")
        self.left -= len(view)

class Part:
    encoding = sys.argv[2]

block = memoryview(bytearray(4096))
file = open(sys.argv[1], "rb")
most = 0
gc.collect()
base = gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0
while True:
    head = file.read(8)
    if not head:
        break
    size, packed = struct.unpack("<II", head)
    start = file.tell()
    download = Download(file, packed)
    part = Part()
    part.size = size
    chunks = Chunks(download, part, 0, 0)
    digest = hashlib.sha256()
    said = None
    try:
        done = 0
        while done < size:
            count = min(4096, size - done)
            piece = block[:count]
            chunks.fill(piece)
            digest.update(piece)
            done += count
            gc.collect()
            most = max(most, gc.mem_alloc() - base) if base else 0
        said = str(binascii.hexlify(digest.digest()), "ascii") if chunks.place == packed else "left over"
    except (NetError, ReleaseError) as error:
        said = error.__class__.__name__
    print(said)
    file.seek(start + packed)
print("most", most)
"""


pytestmark = pytest.mark.usefixtures("deflate")


class Download:
    """What the installer gives keeper.inflate."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def fill(self, view: memoryview) -> None:
        if self.file.readinto(view) != len(view):
            raise NetError("the release ended after a part of it")


def on_cpython(packed: bytes, size: int, encoding: str) -> str:
    """What the device's own module makes of a packed part here: SHA-256, or the kind of error."""
    download = Download(packed)
    chunks = inflate.Chunks(download, Part(size, encoding), 0, 0)
    digest = hashlib.sha256()
    done = 0
    try:
        while done < size:
            piece = memoryview(bytearray(min(BLOCK, size - done)))
            chunks.fill(piece)
            digest.update(piece)
            done += len(piece)
    except (NetError, ReleaseError) as error:
        return type(error).__name__
    return digest.hexdigest() if chunks.place == len(packed) else "left over"


def on_micropython(
    folder: Path, parts: list[tuple[bytes, int]], encoding: str, heap_kib: int = 256
) -> tuple[list[str], int]:
    """The same on MicroPython for many parts, and the most memory that was in use."""
    (folder / "unpack.py").write_text(UNPACK)
    rows = b"".join(struct.pack("<II", size, len(packed)) + packed for packed, size in parts)
    (folder / "parts").write_bytes(rows)
    done = subprocess.run(
        interpreter.command("unpack.py", "parts", encoding, heap_kib=heap_kib),
        cwd=folder,
        env={**os.environ, **interpreter.environment(LIB)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *lines, last = done.stdout.splitlines()
    return lines, int(last.split()[1])


def on_host(packed: bytes, size: int, encoding: str) -> str:
    """What `release inspect` makes of it."""
    try:
        return hashlib.sha256(compression.unpack(packed, size, encoding)).hexdigest()
    except ToolError:
        return "ToolError"


def samples(chunk_size: int) -> Iterator[bytes]:
    """Parts of every kind and of awkward sizes."""
    chance = random.Random(20261121)
    text = Path(inflate.__file__).read_bytes()
    for size in (1, 15, 16, chunk_size - 1, chunk_size, chunk_size + 1, BLOCK, BLOCK + 16, 3 * BLOCK, 40_000):
        yield bytes(size)
        yield chance.randbytes(size)
        yield (text * (size // len(text) + 1))[:size]
        yield bytes(chance.choice((0, 0, 0, 255, 7)) for _ in range(size))
        yield (chance.randbytes(chunk_size) + bytes(chunk_size)) * (size // (2 * chunk_size)) + b"end"


@given(
    st.binary(max_size=3 * 2048 + 5) | st.lists(st.sampled_from([b"\0" * 3000, b"abc" * 9, b"\xff"])).map(b"".join),
    st.sampled_from(sorted(ENCODINGS)),
)
def test_what_the_host_packs_host_and_device_unpack(data: bytes, encoding: str) -> None:
    packed = compression.pack(data, encoding)
    assert compression.unpack(packed, len(data), encoding) == data
    assert on_cpython(packed, len(data), encoding) == hashlib.sha256(data).hexdigest()
    assert len(packed) <= len(data) + 2 * (len(data) // ENCODINGS[encoding] + 1)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_part_can_go_on_at_any_chunk(encoding: str) -> None:
    plain = (Path(inflate.__file__).read_bytes() * 9)[: 5 * BLOCK + 100]
    packed = compression.pack(plain, encoding)
    points = [(0, 0)]
    chunks = inflate.Chunks(Download(packed), Part(len(plain), encoding), 0, 0)
    for start in range(0, len(plain), 512):
        chunks.fill(memoryview(bytearray(min(512, len(plain) - start))))
        if chunks.at_start:
            points.append((min(start + 512, len(plain)), chunks.place))
    assert len(points) == -(-len(plain) // ENCODINGS[encoding]) + 1
    for done, place in points[:-1]:
        rest = bytearray(len(plain) - done)
        inflate.Chunks(Download(packed[place:]), Part(len(plain), encoding), done, place).fill(memoryview(rest))
        assert rest == plain[done:]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_micropython_unpacks_the_same(tmp_path: Path, encoding: str) -> None:
    parts = list(samples(ENCODINGS[encoding]))
    lines, _ = on_micropython(tmp_path, [(compression.pack(part, encoding), len(part)) for part in parts], encoding)
    assert lines == [hashlib.sha256(part).hexdigest() for part in parts]


def damaged(encoding: str) -> Iterator[tuple[bytes, int]]:
    """Packed parts that are not what they should be, and what each should stand for."""
    chunk_size = ENCODINGS[encoding]
    chance = random.Random(4)
    text = Path(inflate.__file__).read_bytes()
    plain = (text * 8)[: 5 * BLOCK]
    packed = compression.pack(plain, encoding)
    size = len(plain)
    for cut in (0, 1, 2, 3, 200, len(packed) // 2, len(packed) - 1):
        yield packed[:cut], size  # cut off
    yield packed + b"x", size  # too long
    yield packed, size - 16  # stands for more than it should
    yield packed, size + 16
    for length in (
        0,
        1,
        2,
        chunk_size - 1,
        chunk_size,
        chunk_size + 1,
        0x7FFF,
        0xFFFF,
    ):  # length fields at their limits
        yield struct.pack("<H", length) + packed[2:], size
    raw = compression.pack(chance.randbytes(size), encoding)
    yield raw[: len(raw) // 2] + raw, size
    # deflate data that never ends, that says more or less than a chunk stands for, of other windows and kinds
    bomb = zlib.compressobj(9, zlib.DEFLATED, -compression.WINDOW_BITS[encoding])
    for content in (
        bomb.compress(bytes(1_000_000)) + bomb.flush(),
        _deflated(bytes(chunk_size - 1), encoding),
        _deflated(bytes(chunk_size + 1), encoding),
        _deflated(bytes(chunk_size), encoding)[:-1],
        zlib.compress(bytes(chunk_size)),
        b"\x03\x00",
        b"\x07",  # a kind of block that doesn't exist
        b"\x00" * 40,
        b"\xff" * 40,
        b"\x01\xff\xff\x00\x00" + bytes(60),  # stored, longer than what follows
    ):
        chunk = content[: chunk_size - 1]
        yield struct.pack("<H", len(chunk)) + chunk, chunk_size
    for _ in range(250):
        wrong = bytearray(packed)
        for _ in range(chance.choice((1, 1, 1, 3, 40))):
            wrong[chance.randrange(len(wrong))] ^= 1 << chance.randrange(8)
        yield bytes(wrong), size
    for _ in range(150):
        chunk = chance.randbytes(chance.randrange(1, chunk_size))
        yield struct.pack("<H", len(chunk)) + chunk, chunk_size


def _deflated(data: bytes, encoding: str) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -compression.WINDOW_BITS[encoding])
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_damage_is_an_error_of_the_librarys_own_or_shows_in_the_hash(tmp_path: Path, encoding: str) -> None:
    text = Path(inflate.__file__).read_bytes()
    good = hashlib.sha256((text * 8)[: 5 * BLOCK]).hexdigest()
    # some bits of deflate data say nothing
    parts = [part for part in damaged(encoding) if on_host(*part, encoding) != good]
    there, most = on_micropython(tmp_path, parts, encoding, heap_kib=128)
    here = [on_cpython(packed, size, encoding) for packed, size in parts]
    host = [on_host(packed, size, encoding) for packed, size in parts]
    for name, said in (("MicroPython", there), ("CPython", here)):
        odd = [line for line in said if line not in ("NetError", "ReleaseError", "left over") and len(line) != 64]
        assert odd == [], name
        assert good not in said, name
        assert len(said) == len(parts)
    # The inflaters need not find the same faults; but what one of them takes whole, the others read alike.
    for one, other, third in zip(there, here, host, strict=True):
        whole = {said for said in (one, other, third) if len(said) == 64}
        assert len(whole) <= 1
    assert most < 24 * 1024


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_chunk_that_is_not_exactly_what_it_should_be_is_refused_by_everybody(tmp_path: Path, encoding: str) -> None:
    chunk_size = ENCODINGS[encoding]
    tail = b"tail" * 4
    good = compression.pack(bytes(chunk_size), encoding)
    wrong = [
        (struct.pack("<H", len(longer := _deflated(bytes(chunk_size + 1), encoding))) + longer, chunk_size),
        (struct.pack("<H", len(shorter := _deflated(bytes(chunk_size - 1), encoding))) + shorter, chunk_size),
        (struct.pack("<H", len(cut := _deflated(bytes(chunk_size), encoding)[:-1])) + cut, chunk_size),
        (
            good + struct.pack("<H", len(tail) + 1) + tail + b"x",
            chunk_size + len(tail),
        ),  # longer than what it stands for
        (good + struct.pack("<H", 0), chunk_size + len(tail)),
        (struct.pack("<H", chunk_size + 1) + bytes(chunk_size + 1), chunk_size),
    ]
    # deflate makes short content longer: what is longer than the content it stands for is no chunk, right or not
    padded = _deflated(b"a", encoding)
    assert len(padded) > 1
    wrong.append((struct.pack("<H", len(padded)) + padded, 1))
    assert on_micropython(tmp_path, wrong, encoding)[0] == ["ReleaseError"] * len(wrong)
    assert [on_cpython(packed, size, encoding) for packed, size in wrong] == ["ReleaseError"] * len(wrong)
    assert [on_host(packed, size, encoding) for packed, size in wrong] == ["ToolError"] * len(wrong)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_memory_does_not_depend_on_the_size_of_the_part(tmp_path: Path, encoding: str) -> None:
    text = Path(inflate.__file__).read_bytes()
    small, large = ((text * 400)[: count * BLOCK] for count in (4, 100))
    used = [
        on_micropython(tmp_path, [(compression.pack(part, encoding), len(part))], encoding)[1]
        for part in (small, large)
    ]
    assert used[1] < used[0] + 2048 and used[1] < 24 * 1024


@given(st.binary(max_size=2 * 2048), st.integers(0, 3 * 4096), st.sampled_from(sorted(ENCODINGS)))
def test_any_bytes_are_unpacked_or_refused(data: bytes, size: int, encoding: str) -> None:
    on_host(data, size, encoding)
    on_cpython(data, size, encoding)
