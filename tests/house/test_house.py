"""The house keeps its directions: who may import whom, where hardware is touched, what device code may be made of.

All of it is read from the sources, nothing is run. A new module or door is entered in the tables here, deliberately.
"""

import ast
import functools
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from thermokeeper.bytecode import compile_module

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "lib"
TOOLS = ROOT / "tools"
SHIM = TOOLS / "thermokeeper" / "simulator" / "shim"
DEMO_OVERLAYS = TOOLS / "thermokeeper" / "demo" / "overlays"  # device code of the demo's later releases
BOARD_PROGRAM = TOOLS / "thermokeeper" / "board" / "device"  # what `deploy` puts on a board
BENCH_PROGRAM = TOOLS / "thermokeeper" / "bench" / "device"  # runs on the simulated board only

# The folders of lib/ that are always in memory: those of the service that isn't in use are not loaded.
RESIDENT = {
    *{"keeper", "keeper.talking", "keeper.services", "keeper.services.gadgetkeeper", "keeper.services.gecko_dms"},
    *{"thermometer", "thermometer.station", "thermometer.measuring"},
}
# folder: other folders whose modules it imports as it is loaded. What a phase has here is in memory while it lasts.
LOADED_WITH: dict[str, set[str]] = {
    "keeper": set(),
    "keeper.admitting": {"keeper", "keeper.board"},
    "keeper.assembling": {"keeper", "keeper.talking"},
    "keeper.board": {"keeper"},
    "keeper.booting": {"keeper"},
    "keeper.changing": {"keeper", "keeper.board", "keeper.nvs", "keeper.remembering"},
    "keeper.explaining": {"keeper", "keeper.talking"},
    "keeper.factory": {"keeper", "keeper.talking"},
    "keeper.imaging": {"keeper"},
    "keeper.inflating": {"keeper", "keeper.board"},
    "keeper.keeping": {"keeper"},
    "keeper.nvs": {"keeper", "keeper.talking"},
    "keeper.redirecting": {"keeper", "keeper.talking"},
    "keeper.release": {"keeper", "keeper.board", "keeper.talking"},
    "keeper.remembering": {"keeper.talking"},
    "keeper.reusing": {"keeper", "keeper.board", "keeper.inflating"},
    "keeper.services": {"keeper", "keeper.talking"},
    "keeper.services.gadgetkeeper": {"keeper", "keeper.services"},
    "keeper.services.gadgetkeeper.changing": {"keeper", "keeper.services"},
    "keeper.services.gadgetkeeper.joining": {"keeper", "keeper.nvs", "keeper.services", "keeper.services.naming"},
    "keeper.services.gecko_dms": {"keeper", "keeper.services"},
    "keeper.services.gecko_dms.changing": {"keeper.services", "keeper.services.gecko_dms"},
    "keeper.services.gecko_dms.packing": set(),
    "keeper.services.gecko_dms.joining": {
        *{"keeper", "keeper.nvs", "keeper.services", "keeper.services.gecko_dms", "keeper.services.naming"},
    },
    "keeper.services.naming": {"keeper"},
    "keeper.services.streaming": {"keeper", "keeper.services", "keeper.talking"},
    "keeper.services.enclosing": set(),
    "keeper.services.text": {"keeper", "keeper.services", "keeper.talking"},
    "keeper.settling": {
        *{"keeper", "keeper.board", "keeper.booting", "keeper.nvs", "keeper.release", "keeper.remembering"},
    },
    "keeper.talking": {"keeper"},
    "keeper.trusting": {"keeper", "keeper.factory"},
    "keeper.typing": {"keeper"},
    "keeper.updating": {"keeper", "keeper.board"},
    "keeper.waking": {"keeper"},
    "thermometer": {"keeper", "thermometer.measuring", "thermometer.station"},
    "thermometer.asking": {"keeper", "thermometer.station"},
    "thermometer.carrying": {"keeper", "keeper.keeping"},
    "thermometer.joining": {"keeper", "keeper.keeping", "keeper.nvs", "keeper.talking"},
    "thermometer.measuring": {"keeper"},
    "thermometer.noting": set(),
    "thermometer.proving": set(),
    "thermometer.settling": {"keeper", "keeper.talking"},
    "thermometer.station": {"keeper"},
    "thermometer.typing": {"keeper", "keeper.booting", "keeper.nvs", "keeper.typing"},
    "thermometer.watching": {"keeper"},
    "thermometer.wiring": set(),
}
# folder: phases that it enters, by imports inside functions
ENTERS = {
    "keeper": {"keeper.admitting", "keeper.changing", "keeper.settling", "keeper.updating"},
    "keeper.admitting": {"keeper.imaging", "keeper.nvs", "keeper.release"},
    "keeper.assembling": {"keeper.services.gadgetkeeper", "keeper.services.gecko_dms"},
    "keeper.board": {"keeper.booting", "keeper.imaging"},
    "keeper.changing": {"keeper.settling"},
    "keeper.services.gadgetkeeper": {"keeper.services.gadgetkeeper.changing", "keeper.services.gadgetkeeper.joining"},
    "keeper.services.gadgetkeeper.changing": {"keeper.services.streaming", "keeper.services.text"},
    "keeper.services.gecko_dms": {
        *{"keeper.services.gecko_dms.changing", "keeper.services.gecko_dms.joining"},
        "keeper.services.gecko_dms.packing",
    },
    "keeper.services.gecko_dms.changing": {"keeper.services.streaming"},
    "keeper.services.text": {"keeper.services.enclosing"},
    "keeper.services": {"keeper.explaining"},
    "keeper.talking": {"keeper.explaining", "keeper.redirecting", "keeper.trusting"},
    "keeper.updating": {
        *{"keeper.imaging", "keeper.inflating", "keeper.nvs", "keeper.remembering", "keeper.reusing"},
    },
    "thermometer": {"keeper.keeping", "thermometer.carrying", "thermometer.measuring", "thermometer.proving"},
    "thermometer.station": {
        *{"keeper.board", "thermometer.asking", "thermometer.joining"},
        *{"thermometer.noting", "thermometer.proving", "thermometer.settling", "thermometer.typing"},
        *{"thermometer.watching", "thermometer.wiring"},
    },
    "thermometer.settling": {"keeper.assembling", "keeper.board", "keeper.factory"},
    "thermometer.typing": {"keeper", "keeper.keeping", "keeper.settling", "thermometer.joining"},
    "thermometer.wiring": {"keeper", "keeper.waking"},
}

# the only places where hardware is reached
DOORS = {
    "ds18x20": {"lib/thermometer/wiring/pins.py"},
    "esp32": {
        *{"boot.py", "main.py", "lib/keeper/board/slots.py", "lib/keeper/factory/identity.py", "lib/keeper/memory.py"},
        *{"lib/keeper/keeping/records.py", "lib/keeper/nvs/state.py", "lib/keeper/waking/areas.py"},
    },
    "machine": {"lib/thermometer/wiring/pins.py", "main.py"},
    "network": {"lib/thermometer/wiring/pins.py", "lib/thermometer/wiring/waking.py"},
    "onewire": {"lib/thermometer/wiring/pins.py"},
    "vfs": {"boot.py"},
}

# what stock firmware has and this house uses; no requests (no deadlines), no asyncio or threads (one thread of control)
DEVICE_MODULES = {
    *{"array", "binascii", "collections", "deflate", "errno", "gc", "hashlib", "io", "json", "micropython", "os"},
    *{"random", "select", "socket", "ssl", "struct", "sys", "time"},
    "_thread",  # of keeper.waking, for the time of a start
    *DOORS,
    *{"keeper", "thermometer", "trust"},
}

# methods that CPython has and MicroPython on the ESP32 lacks, or has only in some builds
CPYTHON_METHODS = {"casefold", "fromhex", "hex", "hexdigest", "removeprefix", "removesuffix", "zfill"}

# what host tools may use of lib: modules that need no hardware
PURE_MODULES = {
    "keeper.board.layout",
    "keeper.errors",
    "keeper.factory.identity",
    "keeper.imaging",
    "keeper.keeping",
    "keeper.release",
    "keeper.reusing.blocks",
    "keeper.services.gadgetkeeper.joining.proof",
    "keeper.services.gecko_dms.joining.record",
    "keeper.talking.address",
}

MODULE_LIMIT = 200
# module: (lines it may have, why it is still one idea)
LARGER_MODULES: dict[str, tuple[int, str]] = {}


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def _device_files() -> list[Path]:
    return [ROOT / "boot.py", ROOT / "main.py", *sorted(LIB.rglob("*.py")), *sorted(DEMO_OVERLAYS.rglob("*.py"))]


@functools.cache
def _host_files() -> list[Path]:
    return sorted(
        path
        for path in TOOLS.rglob("*.py")
        if not {SHIM, DEMO_OVERLAYS, BENCH_PROGRAM, BOARD_PROGRAM} & set(path.parents)
    )


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _imports(path: Path, at_load: bool | None = None, for_types: bool = True) -> Iterator[str]:
    """Dotted names of what a file imports; `from a import b` gives a.b. at_load: only at its top, or only elsewhere.

    for_types: also below `if TYPE_CHECKING`.
    """
    package = path.relative_to(LIB).parent.parts if LIB in path.parents else ()
    tree = _tree(path)
    unused = {
        inner
        for node in ([] if for_types else ast.walk(tree))
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in unused:
            continue
        if at_load is not None and (node in tree.body) != at_load:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*start, *([node.module] if node.module else [])])
            yield from (f"{base}.{name.name}" for name in node.names)


def _expect_none(wrong: list[str]) -> None:
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def _folder(name: str) -> str:
    """The folder of lib/ that holds a module or a name of one, as its dotted name."""
    parts = name.split(".")
    while not LIB.joinpath(*parts).is_dir():
        parts.pop()
    return ".".join(parts)


def _needs(at_load: bool) -> dict[str, set[str]]:
    """folder: the other folders of lib/ that its modules import at their top, or inside functions."""
    found: dict[str, set[str]] = {}
    for path in sorted(LIB.rglob("*.py")):
        own = ".".join(path.relative_to(LIB).parent.parts)
        others = found.setdefault(own, set())
        for name in _imports(path, at_load):
            if name.split(".")[0] in ("keeper", "thermometer") and _folder(name) != own:
                others.add(_folder(name))
    return found


def test_keeper_knows_no_product():
    wrong = [
        f"{_relative(path)} imports {name}"
        for path in sorted((LIB / "keeper").rglob("*.py"))
        for name in _imports(path)
        if name.split(".")[0] in ("thermometer", "main", "boot")
    ]
    _expect_none(wrong)


def test_a_folder_is_loaded_with_those_of_its_table():
    assert _needs(at_load=True) == LOADED_WITH


def test_phases_are_entered_where_the_table_says():
    assert {folder: others for folder, others in _needs(at_load=False).items() if others} == ENTERS


def test_what_is_always_in_memory_loads_no_phase():
    wrong = [
        f"{folder} is always in memory and loads {other}"
        for folder in sorted(RESIDENT)
        for other in sorted(LOADED_WITH[folder] - RESIDENT)
    ]
    _expect_none(wrong)


def test_folders_import_in_one_direction():
    """With what a folder loads, it can be dropped: a circle would keep itself alive."""
    left = {folder: set(others) for folder, others in LOADED_WITH.items()}
    while ground := {folder for folder, others in left.items() if not others}:
        left = {folder: others - ground for folder, others in left.items() if folder not in ground}
    assert not left, "these import each other"


def test_no_service_knows_another():
    services = {path.name for path in (LIB / "keeper" / "services").iterdir() if (path / "wire.py").exists()}
    assert len(services) > 1
    wrong = [
        f"{_relative(path)} imports {name}"
        for service in services
        for path in sorted((LIB / "keeper" / "services" / service).rglob("*.py"))
        for name in _imports(path)
        if name.startswith("keeper.services.") and name.split(".")[2] in services - {service}
    ]
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


# What each part of the host's tools may import of the others, beside itself, `errors` and the pure modules of lib.
_ROOMS = {
    "contract": set(),
    "client": {"contract", "files", "groups"},
    "server.storage": {"contract", "server.secrets", "server.refusals"},
    "server.rules": {
        *{"contract", "server.storage", "server.secrets", "server.refusals", "server.calling"},
        *{"formats.partitions", "release.examining", "release.keys", "release.trust"},
    },
    "server.http": {
        "contract",
        "server.rules",
        "server.storage",
        "server.secrets",
        "server.refusals",
        "server.settings",
        "release.examining",
        *("server.calling", "server.logs", "server.metrics"),
    },
}


@pytest.mark.parametrize("room", _ROOMS)
def test_rooms_of_the_tools_import_in_one_direction(room):
    wrong = []
    for path in _host_files():
        module = _relative(path).removeprefix("tools/thermokeeper/").removesuffix(".py").replace("/", ".")
        if not module.startswith(room + "."):
            continue
        ours = [name.removeprefix("thermokeeper.") for name in _imports(path) if name.startswith("thermokeeper.")]
        allowed = tuple(f"{one}." for one in {room, "errors", *_ROOMS[room]})
        wrong += [f"{module} imports {of}" for of in ours if not f"{of}.".startswith(allowed)]
    _expect_none(wrong)


def test_no_circle_in_the_tools():
    """Neither of modules nor of rooms; what is imported inside functions counts, what only types need doesn't."""
    modules = {_dotted(path): path for path in _host_files()}
    rooms: dict[str, set[str]] = {}
    circles = []
    graph = {}
    for name, path in modules.items():
        needed = {of if of in modules else of.rpartition(".")[0] for of in _imports(path, for_types=False)}
        graph[name] = {of for of in needed if of in modules and of != name}
        room = ".".join(name.split(".")[:2])
        rooms.setdefault(room, set()).update({".".join(of.split(".")[:2]) for of in graph[name]} - {room})
    for edges in (graph, rooms):
        try:
            tuple(graphlib.TopologicalSorter(edges).static_order())
        except graphlib.CycleError as error:
            circles.append(" -> ".join(error.args[1]))
    _expect_none(circles)


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(TOOLS).with_suffix("").parts).removesuffix(".__init__")


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
def test_device_code_compiles_for_any_chip(path):
    compiled = compile_module(path.read_bytes(), path.name)
    assert compiled[:2] == b"M\x06"
    assert compiled[2] >> 2 & 0x0F == 0, "it holds code for one chip only"
