"""A copy of all that a server keeps, made while it runs; and whether what a folder holds is whole.

A backup is a data folder itself: `server run --data` starts on it. SQLite only: PostgreSQL has its own tools.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from thermokeeper.contract.places import SERVER_ID_FILE, TLS_FOLDER
from thermokeeper.contract.tokens import TOKEN_FILE
from thermokeeper.errors import ToolError
from thermokeeper.server.storage.database import DATABASE_FILE

FIRMWARE = "firmware"
_TRIES = 3  # a version that is deleted while it is copied
_BLOCK = 1 << 20
_VERSIONS = "SELECT id, name, firmware_size, firmware_sha256 FROM versions WHERE firmware_size IS NOT NULL ORDER BY id"

Version = tuple[str, str, int, str]  # id, name, bytes, SHA-256 in hex


def back_up(data: Path, target: Path) -> tuple[int, int]:
    """Copy the data folder to a new or empty one, which is there only once it is whole. ToolError if it can't be.

    Gives the number of versions with firmware, and the bytes of all.
    """
    _source(data)
    part = target.with_name(target.name + ".part")
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ToolError(f"{target} isn't empty: give a new folder, so that no former copy is lost")
        shutil.rmtree(part, ignore_errors=True)  # of a backup that was killed
        (part / FIRMWARE).mkdir(mode=0o700, parents=True)
        part.chmod(0o700)
        versions, size = _copy(data, part)
        _sync(part)
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise ToolError(f"{data} can't be copied to {target}: {error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return versions, size


def faults_of(data: Path) -> Iterator[str]:
    """What is wrong with a data folder, a line each; nothing if it is whole."""
    _source(data)
    try:
        with _opened(data) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
            keys = connection.execute("PRAGMA foreign_key_check").fetchall()
            versions: list[Version] = connection.execute(_VERSIONS).fetchall()
    except sqlite3.Error as error:
        yield f"the database: {error}"
        return
    if found != ["ok"]:
        yield from (f"the database: {line}" for line in found)
    for table, row, parent, _ in keys:
        yield f"the database: row {row} of {table} refers to a row of {parent} that isn't there"
    for version_id, name, size, sha256 in versions:
        try:
            found_size, digest = _hashed(data / FIRMWARE / f"{version_id}.bin")
        except OSError as error:
            yield f"firmware of version {name} ({version_id}): {error.strerror}"
            continue
        if (found_size, digest) != (size, sha256):
            yield f"firmware of version {name} ({version_id}): not what was uploaded, {found_size} of {size} bytes"


def _source(data: Path) -> None:
    if not (data / DATABASE_FILE).is_file():
        raise ToolError(f"{data} holds no database of a server; a PostgreSQL database has tools of its own (pg_dump)")


@contextlib.contextmanager
def _opened(data: Path) -> Iterator[sqlite3.Connection]:
    uri = f"{(data / DATABASE_FILE).resolve().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
        yield connection


def _copy(data: Path, target: Path) -> tuple[int, int]:
    for _ in range(_TRIES):
        _copy_database(data, target)
        with contextlib.suppress(FileNotFoundError):
            versions = _versions(target)
            size = sum(_copy_firmware(data, target, version) for version in versions)
            break
    else:
        raise ToolError(f"{data}: firmware is missing there; `thermokeeper server check` says which")
    for name in (TOKEN_FILE, SERVER_ID_FILE, TLS_FOLDER):
        if (data / name).is_dir():
            shutil.copytree(data / name, target / name)
        elif (data / name).exists():
            shutil.copy2(data / name, target / name)
    return len(versions), size + (target / DATABASE_FILE).stat().st_size


def _copy_database(data: Path, target: Path) -> None:
    path = target / DATABASE_FILE
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with _opened(data) as source, contextlib.closing(sqlite3.connect(path)) as copy:
        source.backup(copy)


def _versions(data: Path) -> list[Version]:
    with _opened(data) as connection:
        found: list[Version] = connection.execute(_VERSIONS).fetchall()
    return found


def _copy_firmware(data: Path, target: Path, version: Version) -> int:
    version_id, name, size, sha256 = version
    path = target / FIRMWARE / f"{version_id}.bin"
    shutil.copyfile(data / FIRMWARE / path.name, path)
    if _hashed(path) != (size, sha256):
        raise ToolError(f"firmware of version {name} ({version_id}) isn't what was uploaded: nothing to keep")
    return size


def _hashed(path: Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


def _sync(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
