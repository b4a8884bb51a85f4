"""Flash images with a program of one's own, for tests of the runner."""

from __future__ import annotations

from pathlib import Path

from littlefs import LittleFS

from support_flash import app_image, make_flash

VFS_BLOCKS = 15


def file_system(files: dict[str, str | bytes], blocks: int = VFS_BLOCKS) -> bytes:
    """A LittleFS2 image with these files."""
    fs = LittleFS(block_size=4096, block_count=blocks, prog_size=32, read_size=32, disk_version=0x00020000)
    for name, content in files.items():
        if "/" in name.strip("/"):
            fs.makedirs(name.rpartition("/")[0], exist_ok=True)
        with fs.open(name, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
    return bytes(fs.context.buffer)


def make_board(
    path: Path, main: str, boot: str = "", extra: tuple[tuple[str | int, bytes], ...] = (), **files: str
) -> Path:
    """A flash file whose board runs `main`; two valid applications are in the slots."""
    vfs = file_system({"boot.py": boot, "main.py": main, **{name + ".py": text for name, text in files.items()}})
    make_flash(path, (("ota_0", app_image()), ("ota_1", app_image(b"two")), ("vfs", vfs), *extra))
    return path
