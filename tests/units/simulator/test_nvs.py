"""The shim's NVS against an independent reader, ESP-IDF's own generator, and a model with power cuts anywhere."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from esp_idf_nvs_partition_gen import nvs_partition_gen
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from extent import WHOLE
from thermokeeper.simulator import nvs, shimcode

SIZE = 0x4000
BUFFER = 13000


class Cut(BaseException):
    """The power is gone."""


class Flash:
    """Only the NVS partition, in memory, under the shim's own board."""

    def __init__(self, content: bytes = b"\xff" * SIZE) -> None:
        table = (
            b"\xaa\x50\x01\x02" + (0x9000).to_bytes(4, "little") + SIZE.to_bytes(4, "little") + b"nvs".ljust(20, b"\0")
        )
        self.file = io.BytesIO(b"\xff" * 0x8000 + table.ljust(0x1000, b"\xff") + content)
        self.world: dict[str, Any] = {}
        self.power_on()

    def power_on(self, cut: dict[str, Any] | None = None) -> None:
        """A new life; with `cut`, a power cut is planned in it."""
        self.world["cuts"] = [cut] if cut else []
        shim = shimcode.ShimModules()
        sim = shim["_sim"]

        def end(line: str) -> None:
            raise Cut(line)

        self.board = sim.attach(sim.Board(self.file, lambda line: None, end, lambda: self.world, "ota_0"))
        self.NVS = shim["esp32"].NVS

    @property
    def content(self) -> bytes:
        return self.file.getvalue()[0x9000:]

    def get(self, namespace: str, key: str) -> bytes | int | None:
        """The value, or None if there is none."""
        found = self.NVS(namespace)
        buffer = bytearray(BUFFER)
        try:
            return bytes(buffer[: found.get_blob(key, buffer)])
        except OSError as error:
            assert error.args[0] == -4354
        try:
            return int(found.get_i32(key))
        except OSError as error:
            assert error.args[0] == -4354
        return None


def test_what_the_shim_writes_an_independent_reader_reads() -> None:
    flash = Flash()
    expected: dict[tuple[str, str], Any] = {}
    for number in range(60):
        space, key = ("keeper", "wifi")[number % 2], f"key{number % 7}"
        if number % 5:
            value: Any = bytes([number]) * (number * 13)
            flash.NVS(space).set_blob(key, value)
        else:
            value = -number
            flash.NVS(space).set_i32(key, value)
        expected[space, key] = value
    found = nvs.read(flash.content)
    assert found.values == expected
    assert found.problems == []


@pytest.fixture
def generated(tmp_path: Path) -> Iterator[bytes]:
    """A partition as made by ESP-IDF's generator."""
    table, image = tmp_path / "nvs.csv", tmp_path / "nvs.bin"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ("key", "type", "encoding", "value"),
                ("keeper", "namespace", "", ""),
                ("cloud", "data", "base64", "eyJrZXkiOiAiYWJjIn0="),
                ("count", "data", "i32", "-5"),
                ("note", "data", "string", "made on a host"),
                ("wifi", "namespace", "", ""),
                ("networks", "data", "hex2bin", "ab" * 3000),
                ("byte", "data", "u8", "200"),
            ]
        )
    nvs_partition_gen.generate(
        SimpleNamespace(input=str(table), output=str(image), size=hex(SIZE), version=2, outdir="")
    )
    yield image.read_bytes()


def test_a_generated_partition_is_read_and_written_on(generated: bytes) -> None:
    flash = Flash(generated)
    assert flash.get("keeper", "cloud") == b'{"key": "abc"}'
    assert flash.get("keeper", "count") == -5
    assert flash.get("wifi", "networks") == b"\xab" * 3000
    assert flash.get("keeper", "note") is None
    flash.NVS("keeper").set_blob("cloud", b"new")
    flash.power_on()
    assert flash.get("keeper", "cloud") == b"new"
    assert flash.get("wifi", "networks") == b"\xab" * 3000
    assert nvs.read(flash.content).values["keeper", "note"] == "made on a host"


def test_the_reader_reads_a_generated_partition(generated: bytes) -> None:
    values = nvs.read(generated).values
    assert values["wifi", "byte"] == 200
    assert values["keeper", "note"] == "made on a host"
    assert values["wifi", "networks"] == b"\xab" * 3000


def test_the_reader_tells_of_damage(generated: bytes) -> None:
    damaged = bytearray(generated)
    damaged[64 + 32 + 32 + 3] ^= 1
    assert nvs.read(bytes(damaged)).problems
    damaged[28] ^= 1
    assert nvs.read(bytes(damaged)).pages[0] == "damaged"


def test_a_cut_while_pages_are_turned_or_collected_loses_nothing() -> None:
    flash = Flash()
    expected: dict[str, Any] = {"steady": b"s" * 3300, "number": 5}
    flash.NVS("keeper").set_blob("steady", expected["steady"])
    flash.NVS("keeper").set_i32("number", 5)
    collected = 0
    for count in range(30):
        # Something that stays on every page, so that collecting has to carry it over.
        expected[f"n{count}"] = count
        flash.NVS("keeper").set_i32(f"n{count}", count)
        old, new = expected.get("moving"), b"%04d" % count * 170
        before = flash.content
        told: list[str] = []
        flash.board.tell = told.append
        first = flash.board.operations
        flash.NVS("keeper").set_blob("moving", new)
        operations = flash.board.operations - first
        after = flash.content
        if any("erase" in line for line in told):
            collected += 1
            for operation in range(operations):
                for moment in ("before", "middle", "after"):
                    flash = Flash(before)
                    flash.power_on({"operation": operation, "moment": moment, "seed": operation})
                    with pytest.raises(Cut):
                        flash.NVS("keeper").set_blob("moving", new)
                    flash.power_on()
                    assert flash.get("keeper", "moving") in (old, new), (operation, moment)
                    for key, value in expected.items():
                        assert key == "moving" or flash.get("keeper", key) == value, (operation, moment, key)
                    flash.NVS("keeper").set_blob("moving", new)
                    values = nvs.read(flash.content).values
                    assert values["keeper", "moving"] == new
                    assert nvs.read(flash.content).pages.count("freeing") == 0
        expected["moving"] = new
        flash = Flash(after)
        if collected == 2:
            break
    assert collected == 2


def test_the_older_of_two_equal_keys_goes_at_start() -> None:
    """A number whose old value is on a former page: the power goes between writing the new one and erasing that."""
    flash = Flash()
    flash.NVS("keeper").set_i32("number", 1)
    flash.NVS("keeper").set_blob("filler", b"f" * 3900)
    first = flash.board.operations
    before = flash.content
    flash.NVS("keeper").set_i32("number", 2)
    last = flash.board.operations - first - 1
    flash = Flash(before)
    flash.power_on({"operation": last, "moment": "before"})
    with pytest.raises(Cut):
        flash.NVS("keeper").set_i32("number", 2)
    flash.power_on()
    assert flash.get("keeper", "number") == 2
    flash.power_on()
    assert flash.get("keeper", "number") == 2


KEYS = st.sampled_from(["cloud", "release", "resume"])
BLOBS = st.builds(lambda byte, size: bytes([byte]) * size, st.integers(0, 255), st.integers(0, 1500))
VALUES = st.one_of(BLOBS, BLOBS, st.integers(-(2**31), 2**31 - 1))


class NvsMachine(RuleBasedStateMachine):
    """NVS against a dict. After a power cut a value is the old one or the new one, and everything else is untouched."""

    @initialize()
    def start(self) -> None:
        self.flash = Flash()
        self.model: dict[str, Any] = {}

    def _write(self, key: str, value: Any) -> None:
        space = self.flash.NVS("keeper")
        if value is None:
            space.erase_key(key)
        elif isinstance(value, int):
            space.set_i32(key, value)
        else:
            space.set_blob(key, value)

    def _kind_changes(self, key: str, value: Any) -> bool:
        old = self.model.get(key)
        return old is not None and isinstance(old, int) is not isinstance(value, int)

    @rule(key=KEYS, value=VALUES)
    def write(self, key: str, value: Any) -> None:
        self._write(key, value)
        self.model[key] = value

    @rule(key=KEYS)
    def erase(self, key: str) -> None:
        if key in self.model:
            self._write(key, None)
            del self.model[key]

    @rule()
    def reset(self) -> None:
        self.flash.power_on()

    @rule(
        key=KEYS,
        value=st.one_of(st.none(), VALUES),
        operation=st.integers(0, 40),
        moment=st.sampled_from(["before", "middle", "after"]),
        seed=st.integers(0, 2**16),
        again=st.one_of(st.none(), st.tuples(st.integers(0, 12), st.sampled_from(["before", "middle", "after"]))),
    )
    def cut(self, key: str, value: Any, operation: int, moment: str, seed: int, again: Any) -> None:
        old = self.model.get(key)
        if (value is None and old is None) or self._kind_changes(key, value if value is not None else old):
            return
        self.flash.power_on({"operation": operation, "moment": moment, "seed": seed})
        ended = False
        try:
            self._write(key, value)
        except Cut:
            ended = True
        if ended and again:
            # and once more, while what the first cut left is being mended
            self.flash.power_on({"operation": again[0], "moment": again[1], "seed": seed + 1})
            try:
                self.flash.NVS("keeper")
            except Cut:
                pass
        self.flash.power_on()
        found = self.flash.get("keeper", key)
        assert found == value or (ended and found == old)
        if found is None:
            self.model.pop(key, None)
        else:
            self.model[key] = found

    @invariant()
    def everything_reads_as_written(self) -> None:
        if hasattr(self, "model"):
            for key in ("cloud", "release", "resume"):
                assert self.flash.get("keeper", key) == self.model.get(key), key
            found = nvs.read(self.flash.content)
            assert {key: value for (_, key), value in found.values.items()} == self.model


TestNvs = NvsMachine.TestCase
TestNvs.settings = settings(
    max_examples=60 if WHOLE else 20,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
