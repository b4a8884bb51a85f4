"""A release's file system: the same files give the same bytes, and a folder's log says nothing but what is in it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extent import WHOLE
from thermokeeper.errors import ToolError
from thermokeeper.release.filesystem import BLOCK_SIZE, pack, pack_smallest, unpack

NAMES = st.text("abcdefgh_", min_size=1, max_size=24)
FILES = st.dictionaries(
    st.builds("/".join, st.lists(NAMES, min_size=1, max_size=3)), st.binary(max_size=3 * BLOCK_SIZE), max_size=40
)


def _is_possible(files: dict[str, bytes]) -> bool:
    """No file has the name of a folder."""
    return not any(other.startswith(f"{path}/") for path in files for other in files)


@settings(max_examples=60 if WHOLE else 20, deadline=None)
@given(FILES.filter(_is_possible))
def test_what_is_packed_is_read_again(files: dict[str, bytes]) -> None:
    image = pack_smallest(files)
    assert unpack(image) == files
    assert pack_smallest(files) == image
    assert unpack(pack(files, len(image) + 8 * BLOCK_SIZE)) == files


def _logs(image: bytes) -> list[int]:
    """How long the log is of each block that folders have; a pair's older one isn't read."""
    found = {}
    for number in range(len(image) // BLOCK_SIZE):
        block = image[number * BLOCK_SIZE : (number + 1) * BLOCK_SIZE]
        (revision,) = struct.unpack_from("<I", block)
        if 0 < revision < 100 and block[4:8] != b"\xff" * 4:
            found[number] = revision, len(block.rstrip(b"\xff"))
    return [size for number, (revision, size) in found.items() if found.get(number ^ 1, (0, 0))[0] < revision]


def test_a_board_has_little_to_read_to_find_a_file() -> None:
    for count, limit in ((2, 256), (10, 1024), (25, 2048)):
        files = {f"module_{number:02}.py": bytes([number]) * 700 for number in range(count)}
        assert max(_logs(pack(files, 64 * BLOCK_SIZE))) <= limit


def test_files_that_don_t_fit_are_refused() -> None:
    with pytest.raises(ToolError, match="don't fit into a file system of 16384 bytes"):
        pack({"a": bytes(3 * BLOCK_SIZE)}, 4 * BLOCK_SIZE)
    with pytest.raises(ToolError, match="not a LittleFS2"):
        unpack(bytes(2 * BLOCK_SIZE))
