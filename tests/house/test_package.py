"""What `pip install` gives is a whole tool: each of README's commands works without a checkout.

Sources to sdist, sdist to wheel, wheel into a new virtual environment; nothing is asked of a network: what the tool
depends on is lent to that environment by the one that runs the tests.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from thermokeeper.files import PROJECT
from thermokeeper.release.stock import stock_firmware

pytestmark = pytest.mark.whole

_LIMIT_S = 120
_SOURCES = (
    *("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "package.json"),
    *("boot.py", "main.py", "lib", "firmware", "tools"),
)


def _run(*command: object, folder: Path) -> None:
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _sdist(folder: Path) -> Path:
    """The source distribution, made of a copy: making one leaves its traces where it is made."""
    copy = folder / "copy"
    copy.mkdir()
    for name in _SOURCES:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, copy / name)
    (folder / "dist").mkdir()
    _run(sys.executable, "-c", "from setuptools import build_meta as b; b.build_sdist('../dist')", folder=copy)
    shutil.rmtree(copy)
    (made,) = (folder / "dist").glob("thermokeeper-*.tar.gz")
    return made


class Installed:
    """The tool in an environment of its own, in a folder where no checkout is near."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder / "run"
        self.folder.mkdir()
        venv = folder / "venv"
        _run(sys.executable, "-m", "venv", "--without-pip", venv, folder=folder)
        self.python = venv / "bin" / "python"
        pip = (sys.executable, "-m", "pip", "--python", self.python, "--quiet")
        _run(*pip, "install", "--no-index", "--no-deps", wheel, folder=folder)
        (site,) = venv.glob("lib/python*/site-packages")
        # a folder that is named in a .pth has its own .pth files ignored: the checkout, which is one, isn't seen
        (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
        self.project = site / "thermokeeper" / "project"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        for kind in ("DATA", "CONFIG", "STATE"):
            self.environment[f"XDG_{kind}_HOME"] = str(folder / "home")

    def python_says(self, *words: str) -> str:
        command = [self.python, *words]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def __call__(self, *words: str | Path) -> str:
        return self.python_says(str(self.python.with_name("thermokeeper")), *map(str, words))

    @contextmanager
    def server(self) -> Iterator[str]:
        """`server run` on a free port: its address."""
        command = [self.python.with_name("thermokeeper"), "server", "run", "--data", "server", "--port", "0", "--quiet"]
        with subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout
                match = re.search(r" at (http://\S+) ", process.stdout.readline())
                assert match
                yield match[1]
            finally:
                process.terminate()
                process.wait(20)


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("package")
    with tarfile.open(_sdist(folder)) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.glob("thermokeeper-*/")
    pip = (sys.executable, "-m", "pip", "--quiet")
    _run(*pip, "wheel", "--no-index", "--no-deps", "--no-build-isolation", source, folder=folder)
    shutil.rmtree(source)
    (wheel,) = folder.glob("thermokeeper-*.whl")
    return Installed(folder, wheel)


def test_what_is_installed_is_whole_and_no_checkout(tool: Installed) -> None:
    where = tool.python_says("-c", "import thermokeeper, keeper; print(thermokeeper.__file__, keeper.__file__)")
    assert str(PROJECT) not in where and where.count(str(tool.python.parents[1])) == 2
    for name in ("boot.py", "main.py", "lib", "firmware"):
        files = [PROJECT / name] if (PROJECT / name).is_file() else (PROJECT / name).rglob("*")
        for path in files:
            if path.is_file() and "__pycache__" not in path.parts:
                assert (tool.project / path.relative_to(PROJECT)).read_bytes() == path.read_bytes()
    data = [path for path in (PROJECT / "tools/thermokeeper").rglob("*") if path.is_file()]
    missing = [
        path
        for path in data
        if "__pycache__" not in path.parts
        and not (tool.project.parent / path.relative_to(PROJECT / "tools/thermokeeper")).is_file()
    ]
    assert missing == []


def test_an_installed_tool_gets_a_board_from_its_flash_to_its_server(tool: Installed) -> None:
    """README's commands, from a key to a simulated board that has activated and reported."""
    firmware = stock_firmware()[0]
    assert "factory" in tool("--help")
    tool("release", "keygen", "--out", "key.pem")
    build = ("--app", firmware, "--product", "thermometer", "--version", "1.0.0", "--trust", "key.pub.pem")
    tool("release", "build", *build, "--out", "1.tkr")
    tool("release", "sign", "--key", "key.pem", "1.tkr")
    made = ("--firmware", firmware, "--any-bootloader", "--release", "1.tkr", "--trust", "key.pub.pem")
    with tool.server() as url:
        tool.environment |= {
            "THERMOKEEPER_SERVER": url,
            "THERMOKEEPER_VENDOR_TOKEN_FILE": str(tool.folder / "server/vendor-token"),
        }
        tool("template", "create", "Thermometer")
        product = ("--name", "Thermometer", "--template", "Thermometer", "--key", "key.pub.pem")
        tool("product", "create", "thermometer", *product)
        tool("version", "create", "--template", "Thermometer", "--firmware", "1.tkr", "--publish", "1")
        tool("serial", "add", "--product", "thermometer", "THERM00000000000001")
        record = ("--serial", "THERM00000000000001", "--server", url, "--plain-http", "--wifi", "workshop:thermometer")
        tool("image", "build", *made, *record, "--out", "flash.bin")
        assert "1.0.0" in tool("image", "inspect", "flash.bin")
        for runtime in ("micropython", "cpython"):
            tool("sim", "run", "flash.bin", "--in-place", "--for", "120", "--fast", "--runtime", runtime)
            assert "tk: identity: thermometer, serial THERM00000000000001" in tool(
                "sim", "run", "flash.bin", "--for", "2"
            )
        assert "temperature" in tool("thing", "show", "THERM00000000000001")
        numbers = ("--pattern", "THERM{:014d}", "--start", "1001", "--count", "2")
        claim = ("--claim-url", "https://things.example.com/claim/{serial}")
        tool("factory", "new", "first", *numbers, *made[:-2], "--server", "https://things.example.com", *claim)
        assert "2 serial numbers registered" in tool("factory", "register", "first")
    tool("server", "backup", "--data", "server", "copy")
    assert "copy is whole" in tool("server", "check", "--data", "copy")


def test_the_image_s_steps_lead_to_a_server_that_is_healthy(tool: Installed) -> None:
    """What the Dockerfile of docs/operating.md starts and asks, on the environment that its first steps make, too."""
    (text,) = re.findall(r"^```dockerfile\n(.*?)^```", (PROJECT / "docs/operating.md").read_text(), re.M | re.S)
    assert "pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /src" in text, "as the fixture does"
    words = {name: json.loads(found) for name, found in re.findall(r"(ENTRYPOINT|CMD) (\[.*\])$", text, re.M)}
    (health,) = (json.loads(found) for found in re.findall(r"HEALTHCHECK .* CMD (\[.*\])$", text, re.M))
    command, *options = words["ENTRYPOINT"]
    options = [word.replace("/data", "container").replace("0.0.0.0", "127.0.0.1") for word in options + words["CMD"]]
    line = [tool.python.with_name(command), *options, "--port", "0"]
    with subprocess.Popen(
        line, cwd=tool.folder, env=tool.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr
        match = re.search(r" at (http://\S+) ", process.stdout.readline())
        assert match
        assert json.loads(process.stderr.readline())["level"] == "info"
        asked = health[2].replace("http://127.0.0.1:8210", match[1])
        assert asked != health[2] and tool.python_says(health[1], asked) == ""
        process.terminate()
        rest = process.communicate(timeout=20)
        assert process.returncode in (0, -15) and "Traceback" not in rest[1]
    with pytest.raises(AssertionError, match="URLError"):
        tool.python_says(health[1], asked)


def test_an_installed_tool_tells_the_demo(tool: Installed) -> None:
    assert "Shown: a board activated itself" in tool.python_says("-m", "thermokeeper.demo")
