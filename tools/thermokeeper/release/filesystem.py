"""LittleFS2 images that MicroPython mounts: made from files in memory, and read again.

Disk version 2.0, no times: the same files give the same bytes. A board reads a folder's whole log each time that it
looks for a file in it, four times for each import: so logs are short, without the content of any but the smallest files
and without anything of how they came about. With that and what boot.py keeps of it imports take half the time.
"""

from collections.abc import Iterable
from typing import Any, BinaryIO

from littlefs import LittleFS, LittleFSError, UserContext

from thermokeeper.errors import ToolError

BLOCK_SIZE = 4096
DISK_VERSION = 0x00020000  # older MicroPython refuses 2.1, newer ones read both
_SIZES: dict[str, Any] = {
    "block_size": BLOCK_SIZE,
    "read_size": 16,  # boards read with sizes of their own
    "prog_size": 16,
    "cache_size": 512,
    "inline_max": 64,  # files up to that size lie in their folder's log
    "lookahead_size": 32,
}
_LOG_LIMITS = (128, 256, 512, 1024, 2048)


class _Image(UserContext):
    """A file system in memory; the library's own tells the log of each of its hundred thousand reads."""

    def read(self, cfg: Any, block: int, off: int, size: int) -> bytearray:
        start = block * BLOCK_SIZE + off
        return bytearray(self.buffer[start : start + size])

    def prog(self, cfg: Any, block: int, off: int, data: bytes) -> int:
        start = block * BLOCK_SIZE + off
        self.buffer[start : start + len(data)] = data
        return 0


class _FileImage(UserContext):
    """One in a file, only to be read."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(buffsize=0)
        self._file = file

    def read(self, cfg: Any, block: int, off: int, size: int) -> bytearray:
        self._file.seek(block * BLOCK_SIZE + off)
        return bytearray(self._file.read(size))


def pack(files: dict[str, bytes], size: int) -> bytes:
    """A file system of exactly `size` bytes with `files` (path with / -> content); ToolError if it's too small."""
    image = _try_pack(files, size // BLOCK_SIZE)
    if image is None:
        raise ToolError(f"the files don't fit into a file system of {size} bytes; leave some out")
    return image


def pack_smallest(files: dict[str, bytes], limit: int = 16 << 20) -> bytes:
    """The smallest file system that holds `files`."""
    # each file that isn't inline has whole blocks of its own, each folder (the root too) a pair of them
    blocks = 2 + 2 * len(_folders(files))
    blocks += sum(-(-len(content) // BLOCK_SIZE) for content in files.values() if len(content) > _SIZES["inline_max"])
    while blocks * BLOCK_SIZE <= limit:
        image = _try_pack(files, blocks)
        if image is not None:
            return image
        blocks += 1
    raise ToolError(f"the files don't fit into {limit} bytes; leave some out")


def unpack(image: bytes) -> dict[str, bytes]:
    """All files of a LittleFS2 image; ToolError if it isn't one."""
    fs = _mounted(_Image(buffer=bytearray(image)), image[:16], len(image))
    files = {}
    try:
        for folder, _, names in fs.walk("/"):
            for name in names:
                path = f"{folder.rstrip('/')}/{name}".lstrip("/")
                with fs.open(path, "rb") as file:
                    files[path] = bytes(file.read())
    except LittleFSError as error:
        raise _damaged(error) from None
    return dict(sorted(files.items()))


def read_some(image: BinaryIO, size: int, names: Iterable[str], limit: int) -> dict[str, bytes]:
    """Those of the named files that a LittleFS2 image in a file has, each of at most `limit` bytes; nothing else of it
    is in memory. ToolError if it isn't one."""
    image.seek(0)
    fs = _mounted(_FileImage(image), image.read(16), size)
    files = {}
    for name in names:
        try:
            with fs.open(name, "rb") as file:
                content = bytes(file.read(limit + 1))
        except FileNotFoundError:
            continue
        except (LittleFSError, IsADirectoryError) as error:
            raise _damaged(error) from None
        if len(content) > limit:
            raise ToolError(f"the file {name} has more than {limit} bytes")
        files[name] = content
    return files


def _mounted(context: UserContext, head: bytes, size: int) -> LittleFS:
    if head[8:16] != b"littlefs":
        raise ToolError("not a LittleFS2 file system")
    try:
        fs = LittleFS(context, mount=False, block_count=size // BLOCK_SIZE, **_SIZES)
        fs.mount()
    except LittleFSError as error:
        raise _damaged(error) from None
    return fs


def _damaged(error: Exception) -> ToolError:
    return ToolError(f"the LittleFS2 file system is damaged: {error}")


def _folders(files: dict[str, bytes]) -> list[str]:
    folders: set[str] = set()
    for path in files:
        parts = path.split("/")[:-1]
        folders.update("/".join(parts[: i + 1]) for i in range(len(parts)))
    return sorted(folders)


def _try_pack(files: dict[str, bytes], blocks: int) -> bytes | None:
    context = _Image(buffer=bytearray(b"\xff") * (blocks * BLOCK_SIZE))
    try:
        fs = LittleFS(context, mount=False, block_count=blocks, disk_version=DISK_VERSION, **_SIZES)
        fs.format()
        fs.mount()
        for folder in _folders(files):
            fs.mkdir(folder)
        for path, content in sorted(files.items()):
            with fs.open(path, "wb") as file:
                file.write(content)
        logs = [
            f"{folder.rstrip('/')}/{(folders + names)[0]}" for folder, folders, names in fs.walk("/") if folders + names
        ]
        used = fs.used_block_count
        fs.unmount()
    except LittleFSError as error:
        if error.code == LittleFSError.Error.LFS_ERR_NOSPC:
            return None
        raise ToolError(f"littlefs refuses the files: {error}") from None
    image = bytes(context.buffer)
    for inside in logs:
        image = next((found for limit in _LOG_LIMITS if (found := _shorten(image, used, inside, limit))), image)
    return image


def _shorten(image: bytes, used: int, inside: str, limit: int) -> bytes | None:
    """The image with the log that has the entry `inside` written anew; None if it needs more than the limit.

    LittleFS does that when the next change finds no room below the limit; the change here is one that leaves nothing.
    used: how many blocks there are in use.
    """
    context = _Image(buffer=bytearray(image))
    try:
        sizes = _SIZES | {"metadata_max": limit, "inline_max": min(limit // 8, _SIZES["inline_max"])}
        blocks = len(image) // BLOCK_SIZE
        fs = LittleFS(context, mount=False, block_count=blocks, disk_version=DISK_VERSION, **sizes)
        fs.mount()
        fs.setattr(inside, 0, b"\0")
        fs.removeattr(inside, 0)
        parted = fs.used_block_count > used  # the log, in two
        fs.unmount()
    except LittleFSError:
        return None
    if parted:
        return None
    return bytes(context.buffer)
