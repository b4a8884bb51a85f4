"""Merged modules do what the modules did: the same output on both runtimes, tracebacks that lead to the source."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import firmware_names
from extent import WHOLE
from thermokeeper.bytecode import compile_module
from thermokeeper.errors import ToolError
from thermokeeper.files import PROJECT
from thermokeeper.release.application import listed_packages, merged_files
from thermokeeper.release.merging import pack_modules
from thermokeeper.simulator import shimcode

MICROPYTHON = Path(sys.executable).with_name("micropython")


def program(**files: str) -> dict[str, bytes]:
    """Files of lib/, by their paths with __ for /, and a main.py that starts `shop.app.run`."""
    found = {name.replace("__", "/") + ".py": text.encode() for name, text in files.items()}
    return {name.replace("INIT", "__init__"): content for name, content in found.items()}


def said(folder: Path, files: dict[str, bytes], runtime: str, compiled: bool = False) -> str:
    """What a program says that begins with `from shop.app import run; run()`."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if compiled and name.endswith(".py"):
            dotted = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            path.with_suffix(".mpy").write_bytes(compile_module(content, dotted))
        else:
            path.write_bytes(content)
    start = f"import sys; sys.path.insert(0, {str(folder)!r}); from shop.app import run; run()"
    if runtime == "cpython":
        start = "import builtins; builtins.const = lambda value: value; " + start
    done = subprocess.run(
        [MICROPYTHON if runtime == "micropython" else sys.executable, "-c", start],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def same_when_merged(folder: Path, files: dict[str, bytes]) -> str:
    """What it says, merged and not, on both runtimes."""
    merged, _ = pack_modules(files)
    plain = said(folder / "plain", files, "cpython")
    assert "Traceback" not in plain, plain
    assert said(folder / "merged", merged, "cpython") == plain
    assert said(folder / "compiled", merged, "micropython", compiled=True) == plain
    return plain


APP = """
from shop.goods import apples
from shop.goods.pears import Pear, PRICE as price, describe
from shop.till import add

def run():
    print(apples.COUNT, price, describe(Pear(3), loud=True))
    apples.eat(2)
    print(apples.COUNT, apples.left())
    print(add(1, 2, factor=10), add(*(4, 5), **{"factor": 2}))
    from shop.goods.box import Box
    box = Box()
    box.put("pear", 2)
    box.put("pear")
    print(sorted(box.content.items()), box.total, "%(total)d of {total}" % {"total": box.total})
    try:
        box.take("plum")
    except KeyError as error:
        print("none", error.args[0])
    print([n for n in box], box.twice(lambda total: total + price))
"""
APPLES = """
COUNT = 7
_left = []

def eat(count):
    global COUNT
    COUNT -= count
    _left.append(COUNT)

def left():
    return _left
"""
PEARS = """
from shop.goods.apples import left as _apples_left

PRICE = 5
_total = 0

class Pear:
    kind = "pear"
    price = PRICE

    def __init__(self, count):
        self._count = count

    @property
    def count(self):
        return self._count

def describe(pear, loud=False):
    text = "%d %s at %d, %d" % (pear.count, pear.kind, pear.price, len(_apples_left()))
    return text.upper() if loud else text
"""
BOX = """
from shop.goods import pears

class Shelf:
    def __init__(self):
        self.content = {}

class Box(Shelf):
    def __init__(self):
        super().__init__()
        self._taken = [pears.PRICE for _ in range(2)]

    def put(self, name, count=1):
        self.content[name] = self.content.get(name, 0) + count

    def take(self, name):
        self.content.pop(name)

    @property
    def total(self):
        return sum(self.content.values())

    def __iter__(self):
        for number in self._taken:
            yield number

    def twice(self, then):
        def inner(value):
            return then(then(value))
        return inner(self.total)
"""
TILL = """
def add(one, other, factor=1):
    return (one + other) * factor
"""
SHOP = program(
    shop__INIT="", shop__app=APP, shop__goods__INIT="", shop__goods__apples=APPLES, shop__goods__pears=PEARS,
    shop__goods__box=BOX, shop__till=TILL,
)  # fmt: skip


def test_a_program_of_several_folders_does_the_same(tmp_path: Path) -> None:
    text = same_when_merged(tmp_path, SHOP)
    assert text.splitlines()[0] == "7 5 3 PEAR AT 5, 0"
    merged, _ = pack_modules(SHOP)
    assert sorted(merged) == ["shop/__init__.py", "shop/app.py", "shop/goods.py"]


@pytest.mark.parametrize(
    "body",
    [
        "def run():\n    print(later())\n\ndef later():\n    return NAME\n\nNAME = 'x'\n",
        "_x = 1\n\ndef run():\n    _x = 2\n    def inner():\n        nonlocal _x\n        _x += 1\n        return _x\n"
        "    print(inner(), _x)\n",
        "def _f(*args, **more):\n    return args, sorted(more.items())\n\ndef run():\n    print(_f(1, key=2))\n",
        "_a = 3\n\ndef run(_a=_a):\n    print([_a for _a in range(_a)], {k: _a for k in 'b'})\n",
        "len_ = len\n\ndef run():\n    print(len_('abc'), __name__ != '')\n",
        "_t = ('a', 'b')\n_u, _v = _t\n\ndef run():\n    for _w, _z in (_t,):\n        print(_u, _v, _w, _z)\n",
        "class _E(Exception):\n    code = 4\n\ndef run():\n    try:\n        raise _E('no')\n    except _E as e:\n"
        "        print(e.code, e.args)\n",
        "def _wrap(f):\n    def g():\n        return 'w' + f()\n    return g\n\n@_wrap\ndef _h():\n    return 'h'\n\n"
        "def run():\n    print(_h())\n",
        "import json\n\n_keys = {'total': 1}\n\ndef run():\n    total = json.loads('{\"total\": 2}')\n"
        "    print(total['total'], _keys['total'])\n",
    ],
)
def test_what_python_can_say_means_the_same(tmp_path: Path, body: str) -> None:
    files = program(shop__INIT="", shop__app=body, shop__more="_a = _x = NAME = A = 'more'\n")
    same_when_merged(tmp_path, files)


def test_two_modules_of_a_folder_may_have_private_names_of_one_spelling(tmp_path: Path) -> None:
    files = program(
        shop__INIT="", shop__app="from shop import a, b\n\ndef run():\n    print(a.get(), b.get())\n",
        shop__a="_N = 1\n\ndef get():\n    return _N\n", shop__b="_N = 2\n\ndef get():\n    return _N\n",
    )  # fmt: skip
    assert same_when_merged(tmp_path, files) == "1 2\n"


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("def run(:\n", "doesn't compile: line 1"),
        ("A = 1\nclass C:\n    B = A\n    A = 2\n", "shop/b.py:3: the class and the module have it"),
        ("from shop.a import f\n\nf = 2\n", "shop/b.py:1: f is bound by more"),
    ],
)
def test_what_can_t_be_followed_is_refused_with_its_place(module: str, reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        pack_modules(program(shop__INIT="", shop__a="def f():\n    pass\n", shop__b=module))


def test_public_names_become_short_unless_the_firmware_or_a_text_may_ask_for_them(tmp_path: Path) -> None:
    files = program(
        shop__INIT="", shop__goods__INIT="",
        shop__goods__plums="""
class Plum:
    ripeness = 3

    def __init__(self, stoniness):
        self.stoniness = stoniness
        self.sweetness = 2

    def soften(self, by=1):
        self.ripeness += by
        return self.ripeness

    def append(self, plum):
        return "not a list's"

def plum_of(stoniness):
    return Plum(stoniness)

class PlumError(Exception):
    pass
""",
        shop__app="""
from shop.goods.plums import PlumError, plum_of

def run():
    plum, basket = plum_of(7), []
    basket.append(plum)
    print(basket[0].soften(), basket[0].stoniness, getattr(plum, "sweetness"), plum.append(plum))
    try:
        raise PlumError("hard")
    except PlumError as error:
        print(type(error).__name__, error)
""",
    )  # fmt: skip
    same_when_merged(tmp_path, files)
    merged, source_map = pack_modules(files)
    text = b"".join(merged.values())
    for name in (b"ripeness", b"stoniness", b"soften", b"plum_of", b"class Plum:"):
        assert name not in text
    for name in (b"append", b"sweetness", b"class PlumError"):
        assert name in text, name
    assert {"soften", "plum_of", "Plum"} <= {old for names in source_map.names.values() for old in names}


def test_the_list_of_the_firmware_s_names_is_what_the_stubs_say() -> None:
    assert firmware_names.TARGET.read_text().split() == firmware_names.names(Path(sys.prefix) / "typings")


def test_the_same_files_give_the_same_bytes() -> None:
    assert pack_modules(SHOP)[0] == pack_modules(dict(reversed(SHOP.items())))[0]


def test_the_project_s_own_code_merges_into_a_module_for_each_folder() -> None:
    files, source_map = merged_files(PROJECT / "lib")
    folders = {
        path.parent.relative_to(PROJECT / "lib").as_posix()
        for package in listed_packages()
        for path in (PROJECT / "lib" / package).rglob("*.py")
    }
    modules = {name.removesuffix(".mpy").removesuffix("/__init__") for name in files if name.endswith(".mpy")}
    assert modules == folders | {"thermometer/app", "thermometer/safe"}
    assert set(source_map.modules)


@pytest.mark.whole
def test_each_merged_module_of_the_project_can_be_imported_by_itself(tmp_path: Path) -> None:
    files, _ = merged_files(PROJECT / "lib")
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    modules = sorted(name.removesuffix(".mpy").removesuffix("/__init__") for name in files if name.endswith(".mpy"))
    assert len(modules) > 20
    folders = [str(tmp_path), str(shimcode.compiled_folder()), ".frozen"]
    for module in modules:
        start = f"import sys; sys.path[:] = {folders!r}; import {module.replace('/', '.')}"
        done = subprocess.run([MICROPYTHON, "-c", start], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, ""), module


def test_a_traceback_leads_back_to_the_source(tmp_path: Path) -> None:
    files = program(
        shop__INIT="", shop__app="from shop.goods.b import fail\n\ndef run():\n    fail()\n", shop__goods__INIT="",
        shop__goods__a="def one():\n    return 1\n", shop__goods__b="# first\n\ndef fail():\n    raise ValueError(1)\n",
    )  # fmt: skip
    merged, source_map = pack_modules(files)
    found = said(tmp_path, merged, "micropython", compiled=True)
    (line,) = [line for line in found.splitlines() if "goods" in line]
    assert 'File "shop/goods/b.py", line 4, in fail' in source_map.translate(line)


# Few names, so that they meet: of one spelling in two modules, short as those that merging gives, of MicroPython's own.
NAMES = ("_n", "_value", "a", "b", "total", "append", "items_of", "LIMIT", "_LIMIT")
ATTRIBUTES = ("size", "_size", "a", "count", "append", "weight_g")
LOCAL = re.compile(r"\b(total|_value|a|b|items_of|_n)\b")  # what a function below has for itself
MODULES = ("shop__one", "shop__two", "shop__far__three", "shop__far__four")


@st.composite
def modules(draw: st.DrawFn, place: int, before: dict[str, list[str]]) -> tuple[str, list[str]]:
    """A module's text, and the functions in it that take one number."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=5, unique=True))
    lines, functions, imported = [], [], []
    known: list[str] = []  # expressions of one number x
    for path, others in before.items():
        if others and draw(st.booleans()):
            other = draw(st.sampled_from(others))
            if other in (*names, *imported) or other.startswith("_"):  # twice is refused
                lines.append(f"from {path.replace('__', '.')} import {other} as from_{len(known)}")
                known.append(f"from_{len(known)}(x)")
            else:
                lines.append(f"from {path.replace('__', '.')} import {other}")
                imported.append(other)
                known.append(f"{other}(x)")
                names = [name for name in names if name != other]
    for name in names:
        uses = draw(st.sampled_from([*(text for text in known if not LOCAL.search(text)), "x", "len('abc')"]))
        number = draw(st.integers(0, 300))
        kind = draw(st.sampled_from(("constant", "function", "inner", "class", "table", "default")))
        attribute, other = draw(st.lists(st.sampled_from(ATTRIBUTES), min_size=2, max_size=2, unique=True))
        if kind == "constant":
            lines.append(f"{name} = {number}")
            known.append(f"({name} + x)")
            continue
        if kind == "table":
            lines.append(f"{name} = {{{attribute!r}: {number}, {other!r}: [1]}}")
            known.append(f"({name}[{attribute!r}] + len({name}[{other!r}]))")
            continue
        if kind == "class":
            lines += [
                f"class {name}:",
                f"    {attribute} = {number}",
                f"    def __init__(self, {other}): self.{other}_ = {other}",
                f"    def {other}(self, x, by=2): return self.{attribute} * by + self.{other}_ + x",
            ]
            known.append(f"{name}(x).{other}(x, by={number % 7})")
            continue
        lines += {
            "function": [f"def {name}(x):", f"    total = {uses}", f"    return total + {number}"],
            "inner": [
                f"def {name}(x):", f"    _value = {uses}", "    def a(b):", "        nonlocal _value",
                f"        _value += b + {number}", "        return _value", "    return a(x) + _value",
            ],
            "default": [
                f"def {name}(x, a={number}, *b, **items_of):",
                f"    return sum([_n + a for _n in range(x)]) + len(b) + {uses}",
            ],
        }[kind]  # fmt: skip
        known.append(f"{name}(x)")
        functions.append(name)
    lines += [f"def said_{place}(x):", f"    return [{', '.join(known)}]"]
    return "\n".join(lines) + "\n", [*functions]


@st.composite
def programs(draw: st.DrawFn) -> dict[str, bytes]:
    texts, before = {"shop__INIT": "", "shop__far__INIT": ""}, {}
    for place, path in enumerate(MODULES):
        texts[path], before[path] = draw(modules(place, before))
    imports = [f"from {path.replace('__', '.')} import said_{place}" for place, path in enumerate(MODULES)]
    calls = [f"    print(said_{place}({place + 2}))" for place in range(len(MODULES))]
    texts["shop__app"] = "\n".join([*imports, "def run():", *calls]) + "\n"
    return program(**texts)


@settings(max_examples=60 if WHOLE else 20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(programs())
def test_a_merged_program_says_what_it_said(files: dict[str, bytes]) -> None:
    merged, _ = pack_modules(files)
    with tempfile.TemporaryDirectory() as folder:
        plain = said(Path(folder, "plain"), files, "micropython")
        assert "Traceback" not in plain, plain
        assert said(Path(folder, "merged"), merged, "micropython") == plain
