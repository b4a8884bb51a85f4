"""`vfs` and the file calls of `os` for a board on CPython: what is mounted where, and which file a path means.

What a mounted file system is like is `volume`'s. Knows no flash and no runner.
"""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from thermokeeper.simulator.on_cpython.volume import DIRECTORY, File, VfsLfs2, recognised


class Files:
    """All mounted file systems of one board, and the current directory."""

    def __init__(self) -> None:
        self._mounts: dict[str, Any] = {}
        self.cwd = "/"

    # vfs

    def mount(self, *arguments: Any, readonly: bool = False) -> Any:
        if not arguments:
            return [(fs, path) for path, fs in self._mounts.items()]
        device, path = arguments
        path = posixpath.normpath(path)
        if path in self._mounts:
            raise OSError(errno.EPERM)
        if isinstance(device, VfsLfs2):
            fs = device.remounted() if readonly else device
        else:
            fs = VfsLfs2(recognised(device), only_read=readonly)
        fs.readonly = readonly
        self._mounts[path] = fs
        return None

    def umount(self, what: Any) -> None:
        for path, fs in list(self._mounts.items()):
            if what is fs or what == path:
                del self._mounts[path]
                fs.umount()
                return
        raise OSError(errno.EINVAL)

    # os

    def find(self, path: str) -> tuple[VfsLfs2, str]:
        """The file system a path is in, and the path there."""
        full = posixpath.normpath(posixpath.join(self.cwd, path))
        for point in sorted(self._mounts, key=len, reverse=True):
            if full == point or full.startswith(point.rstrip("/") + "/"):
                return self._mounts[point], full[len(point.rstrip("/")) :] or "/"
        raise OSError(errno.ENODEV if not self._mounts else errno.ENOENT)

    def open(self, path: str, mode: str = "r", buffering: int = -1, encoding: str | None = None) -> File:
        fs, inner = self.find(path)
        return fs.open(inner, mode)

    def stat(self, path: str) -> tuple[int, ...]:
        fs, inner = self.find(path)
        return fs.stat(inner)

    def ilistdir(self, path: str = ".") -> Iterator[tuple[str, int, int, int]]:
        fs, inner = self.find(path)
        found = fs.entries(inner)
        if inner == "/" and posixpath.normpath(posixpath.join(self.cwd, path)) == "/":
            found += [
                (point[1:], DIRECTORY, 0, 0) for point in self._mounts if point.count("/") == 1 and len(point) > 1
            ]
        return iter(found)

    def listdir(self, path: str = ".") -> list[str]:
        return [entry[0] for entry in self.ilistdir(path)]

    def statvfs(self, path: str) -> tuple[int, ...]:
        return self.find(path)[0].statvfs()

    def mkdir(self, path: str) -> None:
        self._call("mkdir", path)

    def rmdir(self, path: str) -> None:
        self._call("rmdir", path)

    def remove(self, path: str) -> None:
        self._call("remove", path)

    def rename(self, old: str, new: str) -> None:
        fs, inner = self.find(old)
        other, target = self.find(new)
        if fs is not other:
            raise OSError(errno.EPERM)
        fs.call("rename", inner, target)

    def chdir(self, path: str) -> None:
        full = posixpath.normpath(posixpath.join(self.cwd, path))
        if full != "/" and full not in self._mounts and self.stat(full)[0] != DIRECTORY:
            raise OSError(errno.ENOENT)
        self.cwd = full

    def getcwd(self) -> str:
        return self.cwd

    def sync(self) -> None:
        """Nothing is held back."""

    def _call(self, name: str, path: str) -> None:
        fs, inner = self.find(path)
        fs.call(name, inner)

    def vfs_module(self) -> ModuleType:
        module = ModuleType("vfs")
        module.__dict__.update({"mount": self.mount, "umount": self.umount, "VfsLfs2": VfsLfs2})
        return module

    def os_functions(self) -> dict[str, Any]:
        names = (
            "stat",
            "ilistdir",
            "listdir",
            "statvfs",
            "mkdir",
            "rmdir",
            "remove",
            "rename",
            "chdir",
            "getcwd",
            "sync",
        )
        return {name: getattr(self, name) for name in names} | {
            "unlink": self.remove,
            "mount": self.mount,
            "umount": self.umount,
            "VfsLfs2": VfsLfs2,
        }
