"""One LittleFS2 for a board on CPython, over any MicroPython block device: `vfs.VfsLfs2`, and its open files.

Errors are OSError with the numbers MicroPython raises. What a block device raises (a power cut, too) comes out of
the file call that caused it. Knows no flash and no runner.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from littlefs import LittleFS, UserContext
from littlefs.errors import LittleFSError

DIRECTORY, _FILE = 0x4000, 0x8000
_MAGIC = b"littlefs"
_READ_WHEN_ONLY_READ = 1024  # fewer calls into Python; what is written, too, keeps the board's own size


class _Device(UserContext):
    """littlefs-python's view of a block device; keeps what went wrong until the call is back in Python."""

    def __init__(self, device: Any) -> None:
        super().__init__(buffsize=0)
        self.device = device
        self.error: BaseException | None = None
        self._known: dict[int, bytearray] | None = None

    def remember(self) -> None:
        """Read each block once and no more: for a file system that nobody writes while it is mounted."""
        self._known = {}

    def read(self, cfg: Any, block: int, off: int, size: int) -> bytearray:
        if self._known is None:
            buffer = bytearray(size)
            self._do(self.device.readblocks, block, buffer, off)
            return buffer
        if block not in self._known:
            whole = bytearray(cfg.block_size)
            if self._do(self.device.readblocks, block, whole, 0):
                return bytearray(size)
            self._known[block] = whole
        return self._known[block][off : off + size]

    def prog(self, cfg: Any, block: int, off: int, data: bytes) -> int:
        return self._do(self.device.writeblocks, block, bytes(data), off)

    def erase(self, cfg: Any, block: int) -> int:
        return self._do(self.device.ioctl, 6, block)

    def sync(self, cfg: Any) -> int:
        return self._do(self.device.ioctl, 3, 0)

    def _do(self, call: Any, *arguments: Any) -> int:
        if self.error is not None:
            return -errno.EIO
        try:
            call(*arguments)
        except BaseException as error:  # littlefs would only print it
            self.error = error
            return -errno.EIO
        return 0


class VfsLfs2:
    """A mounted (or mountable) LittleFS2."""

    def __init__(
        self,
        device: Any,
        readsize: int = 32,
        progsize: int = 32,
        lookahead: int = 32,
        mtime: bool = True,
        only_read: bool = False,
    ) -> None:
        self._context = _Device(device)
        self._folders: dict[str, dict[str, int]] | None = None  # of what nobody writes: name -> size, -1 for a folder
        if only_read:
            self._folders = {}
            self._context.remember()
            readsize = _READ_WHEN_ONLY_READ
        self._fs = _littlefs(self._context, device, readsize, progsize, 4 * max(readsize, progsize))
        self.readonly = False
        with self._errors():
            self._fs.mount()

    @staticmethod
    def mkfs(device: Any, readsize: int = 32, progsize: int = 32, lookahead: int = 32) -> None:
        context = _Device(device)
        try:
            _littlefs(context, device, readsize, progsize, 4 * max(readsize, progsize)).format()
        except LittleFSError as error:
            raise context.error or OSError(-error.code) from None

    def remounted(self) -> VfsLfs2:
        """The same, mounted to be read only: what nobody writes is read once."""
        return VfsLfs2(self._context.device, only_read=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except LittleFSError as error:
            if self._context.error is None:
                raise OSError(-int(error.code)) from None
        except io.UnsupportedOperation:
            raise OSError(errno.EBADF) from None
        if self._context.error is not None:
            cause, self._context.error = self._context.error, None
            raise cause

    def _change(self) -> None:
        if self.readonly:
            raise OSError(errno.EROFS)

    def open(self, path: str, mode: str) -> File:
        if set(mode) & set("wax+"):
            self._change()
        text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
        with self._errors():
            try:
                return File(self, self._fs.open(path, mode, **text))
            except OSError as error:  # littlefs-python makes its own, without a number
                if error.errno is None:
                    number = errno.ENOENT if isinstance(error, FileNotFoundError) else errno.EEXIST
                    raise OSError(number) from None
                raise
        raise AssertionError

    def stat(self, path: str) -> tuple[int, ...]:
        if self._folders is not None:
            return self._remembered(path, self._folders)
        with self._errors():
            found = self._fs.stat(path)
        return _status(found.type == 2, found.size)

    def _remembered(self, path: str, folders: dict[str, dict[str, int]]) -> tuple[int, ...]:
        """The status of a path, its folder listed once: an import asks for many names that aren't there."""
        folder, _, name = path.rpartition("/")
        if not name:
            return _status(True, 0)
        if folder not in folders:
            if self.stat(folder or "/")[0] != DIRECTORY:
                raise OSError(errno.ENOTDIR)
            listed = self.entries(folder or "/")
            folders[folder] = {entry[0]: -1 if entry[1] == DIRECTORY else entry[3] for entry in listed}
        size = folders[folder].get(name)
        if size is None:
            raise OSError(errno.ENOENT)
        return _status(size < 0, max(size, 0))

    def entries(self, path: str) -> list[tuple[str, int, int, int]]:
        with self._errors():
            return [
                (entry.name, DIRECTORY if entry.type == 2 else _FILE, 0, entry.size)
                for entry in self._fs.scandir(path)
                if entry.name not in (".", "..")
            ]
        raise AssertionError

    def call(self, name: str, *paths: str) -> None:
        """mkdir, remove, rename or rmdir."""
        self._change()
        with self._errors():
            getattr(self._fs, name)(*paths)

    def statvfs(self) -> tuple[int, ...]:
        with self._errors():
            size, count, used = self._fs.cfg.block_size, self._fs.block_count, self._fs.used_block_count
            return (size, size, count, count - used, count - used, 0, 0, 0, 0, 255)
        raise AssertionError

    def umount(self) -> None:
        with self._errors():
            self._fs.unmount()


def _status(is_folder: bool, size: int) -> tuple[int, ...]:
    return (DIRECTORY if is_folder else _FILE, 0, 0, 0, 0, 0, size, 0, 0, 0)


def _littlefs(context: _Device, device: Any, read_size: int, prog_size: int, cache_size: int) -> LittleFS:
    return LittleFS(
        context=context,
        mount=False,
        block_size=device.ioctl(5, 0),
        block_count=device.ioctl(4, 0),
        read_size=read_size,
        prog_size=prog_size,
        cache_size=cache_size,
        lookahead_size=32,
        disk_version=0x00020000,
    )


class File:
    """An open file; its errors are the file system's."""

    def __init__(self, fs: VfsLfs2, file: Any) -> None:
        self._fs = fs
        self._file = file

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._file, name)
        if not callable(call):
            return call

        def guarded(*arguments: Any) -> Any:
            with self._fs._errors():
                return call(*arguments)

        return guarded

    def close(self) -> None:
        try:
            with self._fs._errors():
                self._file.close()
        finally:
            # LittleFS has let go of the file, even if that failed. littlefs-python would close it once more when it is
            # collected, and LittleFS answers that with an abort of the process.
            raw = getattr(self._file, "buffer", self._file)
            vars(getattr(raw, "raw", raw))["__IOBase_closed"] = True

    def __enter__(self) -> File:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.readline, type(self._file.read(0))())


def recognised(device: Any) -> Any:
    """The device, if a LittleFS2 begins in it; OSError as `mount` raises it otherwise."""
    start = bytearray(64)
    for block in (0, 1):
        device.readblocks(block, start, 0)
        if start[8:16] == _MAGIC:
            return device
    raise OSError(errno.ENODEV)
