"""README's commands work in the order in which they stand there, letter by letter; those for a port need a board."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from thermokeeper.files import PROJECT
from thermokeeper.release.stock import stock_firmware

_SERVER = "http://127.0.0.1:8210"  # where `server run` listens unless it is told otherwise
_LIMIT_S = 120
_ON_A_PORT = ("flash ", "console ", "factory run ")


def sections() -> dict[str, list[str]]:
    """Heading -> its command lines."""
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for part in re.split(r"^#+ ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        blocks = re.findall(r"^```\n(.*?)^```", body, re.MULTILINE | re.DOTALL)
        lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        found[heading] = [line for line in lines if line.startswith("thermokeeper ")]
    return found


class Shell:
    """A person's terminal in a folder, and what was said there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, "COLUMNS": "160"}
        for kind in ("DATA", "CONFIG", "STATE"):
            self._environment[f"XDG_{kind}_HOME"] = str(folder / ".home")

    def run(self, line: str) -> str:
        if re.search("image build|factory new", line):
            line += " --any-bootloader"  # the images that tests have are older than what README wants
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, line: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            shlex.split(line),
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shutil.copy(stock_firmware()[0], tmp_path / "ESP32_GENERIC-OTA.bin")
    return Shell(tmp_path)


@pytest.fixture
def served(shell: Shell) -> Iterator[None]:
    """The server of a terminal of its own, started as README says."""
    (line,) = [line for line in sections()["As a vendor"] if line.startswith("thermokeeper server run")]
    server = shell.start(line)
    try:
        deadline_s = time.monotonic() + 60
        while True:
            assert server.poll() is None, "the server ended; is something else on its port?"
            try:
                httpx.get(f"{_SERVER}/healthz").raise_for_status()
                break
            except httpx.HTTPError:
                assert time.monotonic() < deadline_s, "the server doesn't answer"
                time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait(20)


@pytest.mark.usefixtures("served")
def test_a_vendor_gets_from_a_key_to_an_update_and_a_batch(shell: Shell) -> None:
    lines = [line for line in sections()["As a vendor"] if "server run" not in line]
    assert len(lines) >= 12
    said = {}
    for line in lines:
        if "thermometer-1.1.0" in line and not said.get("1.1.0"):
            for again in lines[1:3]:  # "build and sign it in the same way"
                said["1.1.0"] = shell.run(again.replace("1.0.0", "1.1.0"))
        said[line] = shell.run(line)
    (shown,) = [text for line, text in said.items() if line.startswith("thermokeeper thing show")]
    assert re.search(r"^runs +1\b", shown, re.MULTILINE) and "temperature" in shown, shown
    (slots,) = [text for line, text in said.items() if line.startswith("thermokeeper sim inspect")]
    assert re.search(r"next boot: ota_1 .*valid", slots)
    for line in sections()["By the batch"]:
        if not line.removeprefix("thermokeeper ").startswith(_ON_A_PORT):
            said[line] = shell.run(line)
    assert not any("warning" in text.lower() for text in said.values() if "factory" in text)
