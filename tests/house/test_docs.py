"""README.md and docs/ say what is so: paths, links, commands, targets, calls, formats, numbers; the example runs."""

from __future__ import annotations

import ast
import functools
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from keeper import release
from keeper.factory import identity
from release_support import tool
from thermokeeper import cli
from thermokeeper.client.calls import VendorClient
from thermokeeper.demo.workshop import Workshop
from thermokeeper.formats.partitions import TABLE_OFFSET, available_tables
from thermokeeper.release import application, builder, keys
from thermokeeper.release.filesystem import pack_smallest
from thermokeeper.release.stock import stock_firmware
from thermokeeper.server.app import create_app
from thermokeeper.server.local import LocalServer
from thermokeeper.server.settings import Settings
from thermokeeper.simulator.board import Board, Event
from thermokeeper.simulator.world import World

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(
    r"(?:lib|tools|tests|docs|firmware|\.ci)(?:/[\w.*<>-]+)*/?|boot\.py|main\.py|Makefile|pyproject\.toml|LICENSE"
)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _blocks(document: Path) -> Iterator[tuple[str, str]]:
    """(language, text) of the fenced blocks."""
    yield from _FENCE.findall(_read(document))


def _spans(document: Path) -> list[str]:
    """What stands between single backquotes, outside of fenced blocks."""
    return _CODE.findall(_FENCE.sub("", _read(document)))


def _table(document: str, heading: str) -> list[list[str]]:
    """Cells of the first table below a heading (or below any text), without its head."""
    rows: list[list[str]] = []
    for line in _read(ROOT / document).split(heading, 1)[1].splitlines():
        if line.startswith("|"):
            rows.append([cell.strip().replace("`", "") for cell in line.strip("|").split("|")])
        elif rows:
            break
    return rows[2:]


# -- paths and links ---------------------------------------------------------------------------------------------------


@each_document
def test_every_path_that_is_named_exists(document):
    wrong = []
    for span in _spans(document):
        path, _, test = span.partition("::")
        if _PATH.fullmatch(path):
            pattern = re.sub(r"<\w+>", "*", path)
            if not list(ROOT.glob(pattern.rstrip("/"))):
                wrong.append(path)
            elif test and f"def {test}(" not in _read(ROOT / path):
                wrong.append(span)
    assert wrong == []


@each_document
def test_every_link_leads_to_a_file_or_a_heading(document):
    wrong = []
    for target in _LINK.findall(_read(document)):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name) if name else document
        if not path.is_file():
            wrong.append(target)
        elif anchor:
            headings = re.findall(r"^#+ (.+)$", _read(path), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            if anchor not in anchors:
                wrong.append(target)
    assert wrong == []


def test_every_document_is_reached_from_the_readme():
    linked = {(ROOT / target.partition("#")[0]).resolve() for target in _LINK.findall(_read(ROOT / "README.md"))}
    assert set(DOCUMENTS) - {ROOT / "README.md"} <= linked


@pytest.mark.parametrize("document", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_every_document_names_the_tests_that_keep_it_true(document):
    named = _read(document).rpartition("Kept true by:")[2]
    assert re.search(r"`tests/[\w/]+\.py`", named)


# -- commands ----------------------------------------------------------------------------------------------------------


def _lines(text: str) -> Iterator[str]:
    yield from text.replace("\\\n", " ").splitlines()


@each_document
def test_every_make_target_exists(document):
    targets = set(re.findall(r"^([a-z-]+):.*## ", _read(ROOT / "Makefile"), re.MULTILINE))
    said = [line for _, text in _blocks(document) for line in _lines(text)] + _spans(document)
    named = {match[1] for line in said if (match := re.match(r"make ([a-z][a-z-]*)", line))}
    assert named <= targets


def _named_commands(document: Path) -> Iterator[tuple[str, bool]]:
    """Command lines of ours, and whether the line is whole (one of a block) or only speaks of a command."""
    for _, text in _blocks(document):
        yield from ((line, True) for line in _lines(text) if line.startswith("thermokeeper "))
    for span in _spans(document):
        if span.startswith("thermokeeper "):
            yield span, False
        elif span.split()[0] in cli.PARTS and len(span.split()) > 1:
            yield f"thermokeeper {span}", False


def _fault(line: str, whole: bool) -> str | None:
    """What is wrong with a command line, by the commands' own word."""
    words = shlex.split(line.partition(" > ")[0])[1:]
    command: click.Command = cli.cli
    path = "thermokeeper"
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(click.Context(command), name)
        if found is None:
            return f"{path} has no command {name}"
        command, path = found, f"{path} {name}"
    if isinstance(command, click.Group):
        return None if not whole or words == ["--help"] else f"{path} needs a command"
    options = {name: option for option in command.params for name in (*option.opts, *option.secondary_opts)}
    given: set[str] = set()
    arguments = 0
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            arguments += 1
            continue
        option = options.get(word)
        if word == "--help":
            continue
        if not isinstance(option, click.Option):
            return f"{path} has no option {word}"
        given.add(str(option.name))
        if not option.is_flag and (words or whole):
            value = words.pop(0) if words else ""
            if isinstance(option.type, click.Choice) and value not in option.type.choices:
                return f"{path} {word} takes no {value}"
    if not whole:
        return None
    missing = [option.opts[0] for option in command.params if option.required and isinstance(option, click.Option)]
    missing = [name for name in missing if str(options[name].name) not in given]
    if missing:
        return f"{path} needs {missing[0]}"
    wanted = [param for param in command.params if isinstance(param, click.Argument)]
    least = sum(1 for param in wanted if param.required)
    if arguments < least or (arguments > len(wanted) and all(param.nargs == 1 for param in wanted)):
        return f"{path} takes {len(wanted)} arguments, not {arguments}"
    return None


@each_document
def test_every_command_that_is_named_exists_with_its_options(document):
    faults = [f"{fault} ({line})" for line, whole in _named_commands(document) if (fault := _fault(line, whole))]
    assert faults == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("thermokeeper relaese build", "no command relaese"),
        ("thermokeeper release make", "no command make"),
        ("thermokeeper release sign --kee key.pem x.tkr", "no option --kee"),
        ("thermokeeper release sign x.tkr", "needs --key"),
        ("thermokeeper release sign --key key.pem", "takes 1 arguments, not 0"),
        ("thermokeeper sim run flash.bin other.bin", "takes 1 arguments, not 2"),
        ("thermokeeper sim run flash.bin --runtime pypy", "takes no pypy"),
        ("thermokeeper release", "needs a command"),
    ],
)
def test_a_wrong_command_would_be_noticed(line, fault):
    assert fault in (_fault(line, True) or "")


@each_document
def test_documents_name_no_place_of_one_machine(document):
    assert not re.search(r"(?<![\w.])/(?:home|root|tmp|work|usr|Users)/", _read(document))


# -- formats and numbers -----------------------------------------------------------------------------------------------


def test_the_flash_map_s_table_is_the_csv():
    tables = available_tables()
    rows = _table("docs/flash-map.md", "Offsets and sizes in bytes")
    for name, *_ in rows:
        assert all(name in table.partitions for table in tables.values())
    for column, table in enumerate(tables.values(), 2):
        expected = [f"{part.offset:#x} + {part.size:#x}" for part in table.partitions.values()]
        assert [row[column] for row in rows] == expected
        assert [row[0] for row in rows] == list(table.partitions)
    kinds = [re.split(r",\s*", line)[1:3] for line in _read(ROOT / "firmware/partitions-4MiB.csv").splitlines()[1:]]
    assert [row[1].split(", ") for row in rows] == kinds


def test_the_picture_of_the_flash_map_is_the_csv_of_4_mib():
    picture = _read(ROOT / "docs/pictures/flash-map.svg")
    words = re.findall(r"<text[^>]*>([^<]+)</text>", picture)
    assert f"{TABLE_OFFSET:#08x}" in words
    end = 0
    for part in available_tables()["4MiB"].partitions.values():
        at = words.index(f"{part.offset:#08x}")
        assert words[at : at + 3] == [f"{part.offset:#08x}", part.label, f"{part.size >> 10} KiB"]
        end = part.offset + part.size
    assert f"{end:#08x}" in words


@pytest.mark.parametrize("picture", sorted((ROOT / "docs/pictures").glob("*.svg")), ids=lambda path: path.name)
def test_pictures_have_a_title_and_a_dark_mode_and_need_nothing_else(picture):
    text = _read(picture)
    assert "<title>" in text and "prefers-color-scheme: dark" in text
    assert not re.search(r'(?:href|src)="(?!#)', text)


def test_the_header_s_table_is_the_code():
    rows = {row[3]: row for row in _table("docs/release-format.md", "## Header")}
    assert rows["MAGIC"][:3] == ["0", "8", f"magic {release.MAGIC.decode()}"]
    assert rows["MAX_MANIFEST_SIZE"][0] == str(len(release.MAGIC))
    assert rows["MAX_MANIFEST_SIZE"][2].endswith(f"at most {release.MAX_MANIFEST_SIZE}")
    assert rows["MANIFEST_OFFSET"][:2] == [str(release.MANIFEST_OFFSET), f"up to {release.MAX_MANIFEST_SIZE}"]
    signature = rows["SIGNATURE_OFFSET, SIGNATURE_SIZE"]
    assert signature[:2] == [str(release.SIGNATURE_OFFSET), str(release.SIGNATURE_SIZE)]
    assert f"0 to {release.SIGNATURE_OFFSET - 1}" in signature[2]
    assert release.SIGNATURE_OFFSET + release.SIGNATURE_SIZE == release.HEADER_SIZE == 4096


def test_the_manifest_s_table_names_what_a_release_holds():
    named = {row[0] for row in _table("docs/release-format.md", "## Manifest")}
    data = builder.pack_header(
        {
            "format": 1,
            "product": "thermometer",
            "version": "1",
            "chip": "esp32",
            "security": 1,
            "created": "2026-11-21T20:13:18Z",
            "expires": "2027-11-21T20:13:18Z",
            "key": "0" * 16,
            "trust": ["0" * 16],
            "parts": [
                {"name": "app", "size": 16, "sha256": "0" * 64},
                {"name": "fs", "size": 4096, "sha256": "0" * 64},
            ],
        }
    )
    release.parse(data)
    assert named == set(builder.manifest_fields(data))


def test_the_factory_record_s_table_is_the_code():
    rows = _table("docs/flash-map.md", "## Factory record")
    assert rows[0] == ["0", str(len(identity.MAGIC)), f"magic {identity.MAGIC.decode()}"]
    assert [row[0] for row in rows[1:]] == ["8", "10", "10 + n"]


@functools.cache
def _module(path: str) -> ast.Module:
    return ast.parse(_read(ROOT / path))


def _constant(path: str, name: str) -> Any:
    """The value of `NAME`, or of a default, `Class(parameter)` or `Class.method(parameter)`, in a source file."""
    call = re.fullmatch(r"(\w+)(?:\.(\w+))?\((\w+)\)", name)
    for node in ast.walk(_module(path)):
        if call and isinstance(node, ast.ClassDef) and node.name == call[1]:
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name == (call[2] or "__init__"):
                    names = [argument.arg for argument in method.args.args][-len(method.args.defaults) :]
                    return ast.literal_eval(method.args.defaults[names.index(call[3])])
        if not call and isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == name:
            return eval(compile(ast.Expression(node.value), path, "eval"), {"__builtins__": {}})
    raise AssertionError(f"{path} has no {name}")


@pytest.mark.parametrize("row", _table("docs/life-cycle.md", "## Waits and limits"), ids=lambda row: row[0])
def test_waits_and_limits_are_those_of_the_code(row):
    _, said, where = row
    path, name = where.split(" ")
    value = _constant(path, name)
    values = value if isinstance(value, tuple) else (value,)
    units = {"s": 1000, "ms": 1, "": 1}
    found = [int(number) * units[unit] for number, unit in re.findall(r"(\d+)(?: (ms|s)\b)?", said)]
    assert found == list(values)


def test_the_device_s_calls_are_those_of_the_server(tmp_path):
    paths = create_app(Settings(tmp_path, "a token for this test")).openapi()["paths"]
    served = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    headings = (
        "## What a device calls",
        "## As the original service had it",
        "## What a device with a provisioning token calls",
    )
    rows = [row for heading in headings for row in _table("docs/api.md", heading)]
    named = {" ".join(row[1].split()[:2]).rstrip(",") for row in rows}
    assert named <= served
    devices = {call for call in served if "/vendor/" not in call and "/owner/" not in call and "/v1/" in call}
    assert devices - named == set()
    spoken = re.findall(r"`(GET|PUT|POST) (/[^` ]*)`", _read(ROOT / "docs/api.md"))
    assert {" ".join(call) for call in spoken} <= served


# -- the example -------------------------------------------------------------------------------------------------------

_START = """

def run():
    import network

    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    wlan.connect("workshop", "thermometer")
    Lamp(wlan).run()
"""
_MAIN = """
try:
    from lamp import app
    app.run()
except Exception as error:
    print(repr(error))
import machine
machine.reset()
"""


def _lamp_release(shop: Workshop, lib: Path, version: str) -> Path:
    files, _ = application.merged_files(lib, ["keeper", "lamp"])
    files |= application.trust_module([shop.modulus])
    fields: dict[str, Any] = {"product": "lamp", "chip": "esp32", "security": 1, "created": "2026-11-21T20:13:18Z"}
    data = builder.build(shop.firmware.application, pack_smallest(files), version=version, **fields)
    path = shop.folder / f"lamp-{version}.tkr"
    path.write_bytes(builder.sign(data, keys.load_private(shop.key, str)))
    return path


def test_the_readme_s_product_activates_and_updates_itself(tmp_path):
    """The block of Python in docs/keeper.md, as it stands there, from activation to the second release."""
    (example,) = [text for language, text in _blocks(ROOT / "docs/keeper.md") if language == "python"]
    lib = tmp_path / "lib"
    (lib / "lamp").mkdir(parents=True)
    (lib / "lamp/__init__.py").touch()
    (lib / "lamp/app.py").write_text(example + _START, encoding="utf-8")
    for target, source in json.loads(_read(ROOT / "package.json"))["urls"]:  # as mip installs it
        (lib / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / source, lib / target)
    start = tmp_path / "start"
    start.mkdir()
    (start / "boot.py").write_text(_read(ROOT / "boot.py"), encoding="utf-8")
    (start / "main.py").write_text(_MAIN, encoding="utf-8")
    shop = Workshop(tmp_path, stock_firmware()[0])
    flash = tmp_path / "flash.bin"
    with LocalServer(tmp_path / "server") as server, VendorClient(server.url, server.vendor_token) as vendor:
        vendor.create_template("Lamp")
        vendor.create_product("lamp", "Lamp", "Lamp", keys=[shop.key.with_suffix(".pub.pem")])
        vendor.add_serial("lamp", "LAMP00000000000001")
        for name, version in (("1", "1.0.0"), ("2", "2.0.0")):
            vendor.create_version("Lamp", name)
            vendor.upload_firmware(f"Lamp/{name}", _lamp_release(shop, lib, version))
        vendor.publish("Lamp/2")
        arguments = f"--release {tmp_path}/lamp-1.0.0.tkr --trust {shop.key.with_suffix('.pub.pem')} --vfs {start} "
        arguments += f"--serial LAMP00000000000001 --server {server.url} --plain-http --out {flash}"
        tool("image", "build", "--any-bootloader", "--firmware", stock_firmware()[0], *arguments.split())
        said: list[str] = []

        def confirmed(event: Event) -> bool:
            said.append(str(event))
            return "version: up to date: 2" in event.text

        outcome = Board(flash, World(), runtime="micropython").play(until=confirmed, wall_s=120)
        assert outcome == "until", said
        assert vendor.thing("LAMP00000000000001").current_version.name == "2"
    assert "tk: trial: passed: ota_1 stays" in said
