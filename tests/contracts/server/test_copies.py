"""A backup is whole, and made while the server works; a check finds what isn't."""

from __future__ import annotations

import contextlib
import sqlite3
import threading

import httpx
import pytest
from click.testing import CliRunner

from thermokeeper.errors import ToolError
from thermokeeper.server import commands
from thermokeeper.server.local import LocalServer
from thermokeeper.server.storage.copies import back_up, faults_of
from thermokeeper.server.storage.database import DATABASE_FILE


def _run(*words: object) -> str:
    result = CliRunner().invoke(commands.server, [str(word) for word in words])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_a_server_starts_on_a_backup_that_was_made_while_it_was_written_to(tmp_path, make_shop):
    data, copy = tmp_path / "data", tmp_path / "copies/today"
    with LocalServer(data) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        version = shop.version("1", b"firmware", publish=True)
        device = shop.device()
        over = threading.Event()

        def write() -> None:
            while not over.is_set():
                assert device.post_points([{"value": 21.5}]).status_code == 204

        thread = threading.Thread(target=write)
        thread.start()
        try:
            assert "the firmware of 1 versions" in _run("backup", "--data", data, copy)
        finally:
            over.set()
            thread.join()
        shop.vendor.close()
    assert list(faults_of(copy)) == [] and (copy / "vendor-token").stat().st_mode & 0o777 == 0o600
    assert {path.stat().st_mode & 0o077 for path in copy.iterdir() if path.is_file()} == {0}
    with LocalServer(copy) as server, httpx.Client(base_url=server.url) as http:
        assert server.vendor_token == shop.server.vendor_token
        device.http = http
        assert device.call("GET", f"/v1/versions/{version.id}/firmware.bin").content == b"firmware"


def test_a_backup_into_a_folder_that_is_not_empty_is_refused(tmp_path):
    with LocalServer(tmp_path / "data"):
        (tmp_path / "copy").mkdir()
        (tmp_path / "copy/kept").touch()
        with pytest.raises(ToolError, match="isn't empty"):
            back_up(tmp_path / "data", tmp_path / "copy")
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["kept"]


@pytest.mark.parametrize("command", ["backup", "check"])
def test_a_folder_without_a_server_s_database_is_one_line(tmp_path, command):
    target = [tmp_path / "copy"] if command == "backup" else []
    with pytest.raises(ToolError, match="holds no database of a server"):
        _run(command, "--data", tmp_path, *target)


def test_a_check_names_each_thing_that_is_not_whole(tmp_path, make_shop):
    with LocalServer(tmp_path) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        gone, short, changed = (shop.version(name, b"firmware") for name in ("gone", "short", "changed"))
        assert _run("check", "--data", tmp_path) == f"{tmp_path} is whole\n"
        shop.vendor.close()
    folder = tmp_path / "firmware"
    (folder / f"{gone.id}.bin").unlink()
    (folder / f"{short.id}.bin").write_bytes(b"firm")
    (folder / f"{changed.id}.bin").write_bytes(b"FIRMWARE")
    with contextlib.closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection, connection:
        connection.execute("INSERT INTO readings VALUES ('no such thing', 'temperature', 1, '2026-11-21', 1, 0)")
    found = "\n".join(faults_of(tmp_path))
    for name in ("gone", "short", "changed"):
        assert f"firmware of version {name}" in found
    assert "of readings refers to a row of things that isn't there" in found
    with pytest.raises(ToolError, match="isn't whole"):
        _run("check", "--data", tmp_path)


def test_a_backup_does_not_keep_firmware_that_is_damaged(tmp_path, make_shop):
    with LocalServer(tmp_path / "data") as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        version = shop.version("1", b"firmware")
        (tmp_path / f"data/firmware/{version.id}.bin").write_bytes(b"FIRMWARE")
        with pytest.raises(ToolError, match="isn't what was uploaded"):
            back_up(tmp_path / "data", tmp_path / "copy")
        assert [path.name for path in tmp_path.iterdir()] == ["data"], "nothing that looks like a backup"
        shop.vendor.close()


def test_a_database_that_is_damaged_is_found(tmp_path):
    with LocalServer(tmp_path):
        pass
    with (tmp_path / DATABASE_FILE).open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    assert any("the database" in line for line in faults_of(tmp_path))
