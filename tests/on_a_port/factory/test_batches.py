"""Making a batch: which serial numbers it gets, what is refused, and that secrets stay where they belong."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

import images
from thermokeeper.errors import ToolError
from thermokeeper.factory.stock import Stock


def _serials(factory, batch):
    return [unit.serial for unit in factory.journal.units(batch)]


def test_a_pattern_goes_on_where_the_batch_before_ended(factory, pattern):
    factory.new("first", "--pattern", pattern, "--count", 3)
    factory.new("second", "--pattern", pattern, "--count", 2)
    assert _serials(factory, "first") == [f"THERM{number:014d}" for number in (1, 2, 3)]
    assert _serials(factory, "second") == [f"THERM{number:014d}" for number in (4, 5)]


def test_serial_numbers_that_overlap_are_refused_and_nothing_of_the_batch_is_kept(factory, pattern):
    factory.new("first", "--pattern", pattern, "--start", 10, "--count", 3)
    with pytest.raises(ToolError, match="THERM00000000000010 is in batch first already"):
        factory.new("second", "--pattern", pattern, "--start", 8, "--count", 10)
    assert factory.journal.batches() == ["first"]
    with pytest.raises(ToolError, match="there is a batch first already"):
        factory.new("first", "--pattern", pattern, "--count", 1)


@pytest.mark.parametrize("wrong", ["THERM", "THERM{}{}", "THERM{:014q}", "THERM{name}", "THERM{", "{:.0s}"])
def test_a_pattern_without_one_place_for_the_number_is_refused(factory, wrong):
    with pytest.raises(ToolError, match="--pattern"):
        factory.new("first", "--pattern", wrong, "--count", 2)


@pytest.mark.parametrize("wrong", ["TH ERM{:d}", "Ä{:d}", "{:065d}", "-{:d}"])
def test_what_is_no_serial_number_is_refused(factory, wrong):
    with pytest.raises(ToolError, match="is no serial number"):
        factory.new("first", "--pattern", wrong, "--count", 2)


def test_a_csv_gives_each_board_its_own(factory, tmp_path):
    table = tmp_path / "boards.csv"
    table.write_text(
        "serial, wifi, period_s, place\nA-1,lab:password1,10,attic\nA-2,,,\nA-3,open net,2.5,42\n", encoding="utf-8"
    )
    factory.new("first", "--csv", table, "--wifi", "hall:password2")
    units = {unit.serial: unit for unit in factory.journal.units("first")}
    assert list(units) == ["A-1", "A-2", "A-3"]
    assert units["A-1"].members == {"period_s": 10, "place": "attic"}
    assert units["A-2"].members == {} and units["A-2"].wifi == "hall:password2"
    assert units["A-3"].members == {"period_s": 2.5, "place": 42} and units["A-3"].wifi == "open net"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("number\n1\n", "first line must name"),
        ("serial;wifi\nA-1;lab:password1\n", "separated by ;"),
        ("serial\tplace\nA-1\tx\n", "separated by tabs"),
        ("sep=,\nserial\nA-1\n", "spreadsheet's own"),
        ("Serial,place\nA-1,x\n", "in lower case"),
        ("serial,place\nA-1,x\n,\n", "line 3: an empty row"),
        ("serial,place,\nA-1,x,\n", "a column without a name"),
        ("serial,perod_s\nA-1,10\n", "period_s is meant"),
        ("serial,serial\n1,2\n", "first line must name"),
        ("serial,secret\nA,b\n", "'secret' can't be in it"),
        ("serial,place\nA\n", "another number of cells"),
        ("serial\nA,b\n", "another number of cells"),
        ("serial\nA\nA\n", "is there twice"),
        ("serial,wifi\nA,net:short\n", "8 to 63"),
        ("serial,token\nA,to ken\n", "line 2: the provisioning token"),
        ('serial\n"A\n', "unexpected end"),
        ("serial\n", "at least one"),
        ("serial,place\n,attic\n", "is no serial number"),
        (f"serial,note\nA,{'x' * 4000}\n", "leave something out"),
    ],
)
def test_what_is_wrong_with_a_csv_is_said_and_nothing_is_made(factory, tmp_path, text, reason):
    table = tmp_path / "boards.csv"
    table.write_text(text)
    with pytest.raises(ToolError, match=reason):
        factory.new("first", "--csv", table)
    assert factory.journal.batches() == []


def test_an_unsigned_or_foreign_release_is_refused(factory, product, tmp_path, pattern):
    import release_support

    unsigned = tmp_path / "unsigned.tkr"
    release_support.tool(
        *("release", "build", "--app", product / "firmware.bin", "--lib", product / "lib"),
        *("--product", "thermometer", "--version", "1.0.0", "--trust", product / "key.pub.pem", "--out", unsigned),
    )
    with pytest.raises(ToolError, match="isn't signed"):
        factory.new("first", "--release", unsigned, "--pattern", pattern, "--count", 1)
    with pytest.raises(ToolError, match="plain-http"):
        factory.new("first", "--pattern", pattern, "--count", 1, server="http://127.0.0.1:1")


def test_firmware_whose_bootloader_cannot_roll_back_makes_no_batch(factory, tmp_path, pattern):
    old = tmp_path / "old.bin"
    old.write_bytes(images.whole_firmware(images.application(9000, version="1.20.0"), rollback=False))
    with pytest.raises(ToolError, match="old.bin: its bootloader doesn't roll back"):
        factory.new("first", "--firmware", old, "--pattern", pattern, "--count", 1)
    factory.new("first", "--firmware", old, "--pattern", pattern, "--count", 1, "--any-bootloader")
    assert _serials(factory, "first") == [pattern.format(1)]


def test_boards_of_a_batch_differ_in_record_and_networks_only(factory, pattern):
    factory.new("first", "--pattern", pattern, "--count", 2, "--set", "period_s=7", "--wifi", "lab:password1")
    journal = factory.journal
    stock = Stock(factory.folder / "batches" / "first", journal.plan("first"))
    one, two = (stock.pieces(unit) for unit in journal.units("first"))
    assert [left.name for left, right in zip(one, two, strict=True) if left != right] == ["factory"]
    assert b'"period_s":7' in stock.record(journal.units("first")[0])
    (nvs,) = (piece.data for piece in one if piece.name == "nvs")
    assert b"password1" in nvs


def test_each_secret_is_another_and_is_shown_nowhere(factory, pattern, tmp_path):
    said = factory.new("first", "--pattern", pattern, "--count", 20)
    units = factory.journal.units("first")
    secrets = {unit.secret for unit in units}
    assert len(secrets) == 20 and all(len(bytes.fromhex(secret)) == 32 for secret in secrets)
    said += factory.tool("status", "first") + factory.tool("status", "--json", "first") + factory.tool("status")
    said += repr(units) + factory.tool("labels", "first", "--all", "--out", tmp_path / "labels.pdf")
    assert not [secret for secret in secrets if secret in said]


def test_what_holds_secrets_is_for_its_owner_only(factory, pattern):
    factory.new("first", "--pattern", pattern, "--count", 1)
    unit = factory.journal.units("first")[0]
    assert stat.S_IMODE(factory.folder.stat().st_mode) == 0o700
    files = [path for path in factory.folder.rglob("*") if path.is_file()]
    holding = [path for path in files if unit.secret.encode() in path.read_bytes()]
    assert holding
    assert {stat.S_IMODE(path.stat().st_mode) for path in holding} == {0o600}


def test_a_token_for_all_boards_comes_from_a_file(factory, tmp_path, pattern):
    file = Path(tmp_path, "token")
    file.write_text("token-of-the-lab\n")
    factory.new("first", "--pattern", pattern, "--count", 1, "--service", "gecko_dms", "--token-file", file)
    stock = Stock(factory.folder / "batches" / "first", factory.journal.plan("first"))
    assert b'"token":"token-of-the-lab"' in stock.record(factory.journal.units("first")[0])


def test_a_command_before_the_first_batch_says_where_to_begin(factory):
    with pytest.raises(ToolError, match="factory new"):
        factory.tool("status")
    factory.folder.mkdir()
    with pytest.raises(ToolError, match="factory new"):
        factory.tool("run", "first", "--port", "nowhere")
