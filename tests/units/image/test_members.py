"""Members of a factory record: what no board can use is refused before a board is made with it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.factory import identity
from thermokeeper.errors import ToolError
from thermokeeper.files import PROJECT
from thermokeeper.formats import factory_record, members, nvs

HEX_KEY = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF"


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400", "-1e999"])
def test_what_json_has_no_number_for_stays_a_text(text: str) -> None:
    name, value = members.parse(f"place={text}")
    record = factory_record.pack("T1", "thermometer", "https://x.example", **{name: value})
    assert identity.parse(record).extra["place"] == text


@given(st.text(max_size=40))
def test_any_value_makes_a_record_that_a_board_reads(text: str) -> None:
    value = members.value_of(text)
    record = factory_record.pack("T1", "thermometer", "https://x.example", place=value)
    assert identity.parse(record).extra["place"] == value


@pytest.mark.parametrize("name", ["serial", "server", "product", "service", "plain_http", "ca"])
def test_a_name_that_has_an_option_of_its_own_is_refused_with_its_name(name: str) -> None:
    with pytest.raises(ToolError, match=f"--{name}".replace("_", "-")):
        members.parse(f"{name}=x")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("perod_s", 10, "period_s is meant"),
        ("period", 2, "period_s is meant"),
        ("period_s", 0, "from 1 to 3600"),
        ("period_s", "10", "from 1 to 3600"),
        ("alive_s", True, "from 0 to 300"),
        ("secret", "xyz", "64 hex digits"),
        ("ntp_host", "a b", "no name or address"),
        ("ntp_host", 7, "no name or address"),
    ],
)
def test_a_setting_that_the_board_would_ignore_is_refused(name: str, value: object, reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        members.check({name: value}, "thermometer")


def test_what_only_another_product_may_know_is_warned_of_or_left_alone() -> None:
    assert "knows no setting altitude_m" in members.check({"altitude_m": 7}, "thermometer")[0]
    assert members.check({"altitude_m": 7, "period_s": "fast"}, "kettle") == []
    assert members.check({"period_s": 2, "ntp_host": "192.168.1.1", "place": "attic"}, "thermometer") == []


def test_the_table_of_settings_is_the_thermometer_s() -> None:
    tree = ast.parse((PROJECT / "lib/thermometer/settling/settings.py").read_text())
    (table,) = (node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "SETTINGS")  # type: ignore[attr-defined]
    assert {name: limits[1:] for name, limits in ast.literal_eval(table).items()} == members.SETTINGS


@pytest.mark.parametrize(
    "server",
    [
        "http://things.example.com:99999",
        "http://user:pw@things.example.com",
        "http://exam ple.com",
        "http://bücher.example",
        "http://:8443",
        "http://things.example.com?x=1",
        "http://things.example.com/#a",
        "ftp://things.example.com",
        "things.example.com",
    ],
)
def test_an_address_that_a_board_would_refuse_at_each_call_is_refused(server: str) -> None:
    with pytest.raises(ToolError, match="--server"):
        members.check_server(server)


@pytest.mark.parametrize("server", ["https://things.example.com", "http://10.0.0.1:8210", "https://x.example/api"])
def test_a_usable_address_is_taken(server: str) -> None:
    members.check_server(server)


def test_a_service_without_a_driver_is_refused() -> None:
    assert {
        path.name for path in Path(PROJECT / "lib/keeper/services").iterdir() if (path / "standing.py").exists()
    } == {*members.SERVICES}
    with pytest.raises(ToolError, match="gadgetkeeper or gecko_dms"):
        members.check_service("hawkbit")


def test_a_key_of_64_hex_digits_is_taken_and_its_siblings_are_not() -> None:
    assert nvs.parse_network(f"lab:{HEX_KEY}")["key"] == HEX_KEY
    for key in (HEX_KEY[:-1] + "g", HEX_KEY + "0", "short"):
        with pytest.raises(ToolError, match="64 hex digits"):
            nvs.parse_network(f"lab:{key}")
