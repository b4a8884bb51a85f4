"""The commands of the server's side, as a person types them."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import click
import httpx
import pytest
from click.testing import CliRunner

from thermokeeper.client import commands as client_commands
from thermokeeper.client.commands import serials
from thermokeeper.errors import ToolError
from thermokeeper.server import commands as server_commands

GROUPS = [*server_commands.GROUPS, *client_commands.GROUPS]
_BY_NAME = {group.name: group for group in GROUPS}


def test_a_file_of_any_length_is_added_in_pieces_that_the_server_takes(run, shop, tmp_path, monkeypatch):
    monkeypatch.setattr(serials, "_AT_ONCE", 20)  # as many as this server takes
    numbers = [f"L{number:05}-{shop.tag}" for number in range(50)]
    file = tmp_path / "serials.txt"
    file.write_text("\n".join(numbers))
    added = run("serial", "add", "--product", shop.tag, "--from-file", str(file))
    assert added == f"added 50 serial numbers to {shop.tag}\n"
    more = [f"M{number:05}-{shop.tag}" for number in range(20)] + numbers[:1]
    file.write_text("\n".join(more))
    with pytest.raises(ToolError, match=r"is there already.*; the first 20 of 21 are added, the others aren't"):
        run("serial", "add", "--product", shop.tag, "--from-file", str(file))
    file.write_text("\n".join(["N1", "N2", "N1"]))
    with pytest.raises(ToolError, match="N1 is in the list twice"):
        run("serial", "add", "--product", shop.tag, "--from-file", str(file))


def test_what_a_value_has_to_be_is_said_in_words(run, shop):
    with pytest.raises(ToolError, match="has to be 1 to 64 letters, digits, . _ and -, the first a letter or digit"):
        run("serial", "add", "--product", shop.tag, "a b")


def test_a_vendors_day(run, shop, tmp_path):
    template, product = f"Kitchen {shop.tag}", f"k-{shop.tag}"
    number = f"K1-{shop.tag}"
    firmware = tmp_path / "firmware.bin"
    firmware.write_bytes(b"firmware")
    assert f"template  {template}\n" in run("template", "create", template)
    made = run("version", "create", "--template", template, "--firmware", str(firmware), "--publish", "--force", "1")
    assert re.search(r"published +yes\n", made) and re.search(r"firmware +8 bytes\n", made)
    assert product in run("product", "create", product, "--name", "Kitchen", "--template", template, "--force")
    assert run("serial", "add", "--product", product, number) == f"added 1 serial number to {product}\n"
    assert re.search(rf"{number} +new +1 +-\n", run("serial", "list", product))
    answer = shop.http.post("/v1/provision/activate.json", json={"serialNumber": number}).json()
    headers = {"X-ApiKey": answer["apiKey"]}
    shop.http.post(
        f"/v1/things/{answer['thingId']}/events/temperature/datapoints.json", json=[{"value": 21.5}], headers=headers
    )
    shown = run("thing", "show", number)
    assert re.search(r"thing +Kitchen 1\n", shown) and re.search(r"temperature +21.5 at .* \(1 readings\)", shown)
    assert "temperature  21.5" in run("thing", "readings", number)
    assert number in run("thing", "list") and answer["thingId"] in run("serial", "show", number)
    assert re.search(r"status +blocked", run("serial", "block", number))
    assert re.search(r"status +active", run("serial", "unblock", number))
    run("version", "create", "--template", template, "--firmware", str(firmware), "--prototype", "2")
    assert re.search(r"target +2 \(its own\)", run("serial", "set", number, "--target", f"{template}/2", "--force"))
    assert re.search(r"target +1 \(what its", run("serial", "set", number, "--no-target"))
    assert "deleted  2\nid       " in run("version", "delete", f"{template}/2")
    assert re.search(r"1 +yes +no +- +8 +- +[0-9a-f]{32}\n", run("version", "list", template))
    assert "published  -" in run("template", "withdraw", template)
    assert "published  yes" in re.sub(" +", "  ", run("version", "publish", f"{template}/1", "--force"))
    assert template in run("template", "list") and product in run("product", "list")


def test_json_output_is_the_wires(run, shop):
    shop.version("1", publish=True)
    device = shop.device()
    assert json.loads(run("thing", "show", device.number, "--json"))["serialNumber"] == device.number
    (serial,) = json.loads(run("serial", "list", shop.tag, "--json"))
    assert serial["targetVersion"]["name"] == "1"
    assert json.loads(run("serial", "list", shop.tag, "--status", "blocked", "--json")) == []
    assert "(none)" in run("serial", "list", shop.tag, "--status", "blocked")


def test_an_owners_day(run, shop):
    owner = json.loads(run("owner", "create", f"Jane {shop.tag}", "--json"))
    assert owner["name"] in run("owner", "list") and owner["token"] not in run("owner", "list")
    token = ("--owner-token", owner["token"])
    device = shop.device()
    device.post_points([{"value": 19.25}])
    assert "thing   Hall\n" in run("owner", "claim", device.number, "--name", "Hall", *token)
    assert "temperature 19.25" in run("owner", "things", *token)
    assert "19.25" in run("owner", "readings", device.thing, *token)
    version = shop.version("7", publish=True)
    assert version.id in run("owner", "versions", device.thing, *token)
    assert "7 (one's own choice)" in run("owner", "target", device.thing, "7", *token)
    assert "its owner's choice" in run("serial", "show", device.number)
    shop.version("8", publish=True)
    found = json.loads(run("owner", "target", device.thing, version.id, "--json", *token))
    assert found["targetVersion"]["name"] == "7" and found["targetByOwner"]
    assert "8 (the vendor's)" in run("owner", "target", device.thing, "--vendors", *token)


def test_lists_take_a_limit(run, shop):
    for name in ("1", "2"):
        shop.version(name)
    shop.owner()
    for words in (
        ("template", "list"),
        ("product", "list"),
        ("owner", "list"),
        ("version", "list", shop.template.name),
    ):
        assert len(json.loads(run(*words, "--limit", "1", "--json"))) == 1
        assert "(none)" not in run(*words)
    assert [row["name"] for row in json.loads(run("version", "list", shop.template.name, "--json"))] == ["1", "2"]


def test_serial_numbers_come_from_a_file_too(run, shop):
    numbers = [f"F{index}-{shop.tag}" for index in range(3)]
    text = "\n".join([numbers[0], "", f"  {numbers[1]}  "])
    assert "added 3" in run("serial", "add", "--product", shop.tag, "--from-file", "-", numbers[2], input=text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("version create --template x --publish 1", "--publish needs --firmware"),
        ("version create --template x 1", "there is no template 'x'"),
        ("version show 1", "TEMPLATE/NAME"),
        ("serial add --product x", "which\\?"),
        ("serial show nothing", r"no such serial number \(404 not_found\)"),
        ("serial set nothing", "nothing to set"),
        ("serial set nothing --target a --no-target", "not both"),
        ("thing show nothing", "no such serial number"),
        ("owner claim S --owner-token short", "is no token"),
        ("template list --vendor-token short", "is no token"),
        ("template list --vendor-token 0123456789abcdef", "401"),
        ("template list --server http://127.0.0.1:1", "no server at http://127.0.0.1:1"),
        ("template list --vendor-token-file /none", "can't be read"),
    ],
)
def test_trouble_is_one_line(run, words, message):
    with pytest.raises(ToolError, match=message) as raised:
        run(*words.split())
    assert "\n" not in str(raised.value)


def test_a_version_whose_firmware_is_refused_does_not_take_the_name(run, shop, tmp_path):
    firmware = tmp_path / "firmware.bin"
    firmware.write_bytes(b"TKREL001 damaged")
    with pytest.raises(ToolError, match="begins like a release"):
        run("version", "create", "--template", shop.template.id, "--firmware", str(firmware), "1")
    assert list(shop.vendor.versions(shop.template.id)) == []


def test_without_a_token_it_says_how_to_give_one():
    result = CliRunner().invoke(_BY_NAME["template"], ["list"])
    assert isinstance(result.exception, ToolError) and "--vendor-token-file" in str(result.exception)


def _commands(command: click.Command, path: str):
    yield path, command
    for inner in getattr(command, "commands", {}).values():
        yield from _commands(inner, f"{path} {inner.name}")


def test_every_command_in_an_example_exists():
    known = {path for group in GROUPS for path, _ in _commands(group, str(group.name))}
    used = [
        line.split()[1:]
        for group in GROUPS
        for _, command in _commands(group, "")
        for line in (command.help or "").splitlines()
        if line.strip().startswith("thermokeeper ")
    ]
    assert len(used) > 8
    for words in used:
        assert f"{words[0]} {words[1]}" in known
        command = _BY_NAME[words[0]].commands[words[1]]
        while isinstance(command, click.Group):
            assert f"{' '.join(words[:2])} {words[2]}" in known
            command = command.commands[words[2]]
        options = {name for option in command.params for name in option.opts}
        assert {word for word in words if word.startswith("--")} <= options


@contextmanager
def _running(folder: Path, *options: str):
    """A server in a process of its own: the process, its address, and what tells its whole output once it has ended."""
    log = folder.with_suffix(".log")
    command = [
        Path(sys.executable).with_name("thermokeeper"),
        "server",
        "run",
        "--data",
        folder,
        "--port",
        "0",
        *options,
    ]
    with log.open("w") as file, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True) as process:
        try:
            assert process.stdout
            first = process.stdout.readline()
            match = re.match(r"Thermokeeper server at (http://127\.0\.0\.1:\d+) ", first)
            assert match, (first, log.read_text())
            yield process, match[1], lambda: (first + process.stdout.read(), log.read_text())
        finally:
            process.kill()


def test_server_run_prints_its_address_and_no_token_into_a_log_and_stops_on_ctrl_c(tmp_path):
    with _running(tmp_path / "data") as (process, url, output):
        token = (tmp_path / "data" / "vendor-token").read_text().strip()
        headers = {"X-VendorToken": token}
        assert httpx.get(f"{url}/v1/vendor/templates.json", headers=headers, timeout=30).json()["items"] == []
        process.send_signal(signal.SIGINT)
        printed, log = output()
        assert process.wait(20) == 0, log
        assert "vendor token kept in" in printed and printed.endswith("stopped\n")
        assert "Traceback" not in log and token not in log + printed
    with _running(tmp_path / "data", "--quiet") as (process, _, output):
        process.send_signal(signal.SIGTERM)
        printed, log = output()
        assert token not in printed and "Traceback" not in log


def test_a_terminal_is_told_the_token_once(tmp_path):
    for time in range(2):
        mine, its = pty.openpty()
        command = [sys.executable, "-m", "thermokeeper", "server", "run", "--data", tmp_path / "data", "--port", "0"]
        with subprocess.Popen(command, stdout=its, stderr=subprocess.DEVNULL) as process:
            os.close(its)
            said = b""
            while b"Ctrl-C stops" not in said:
                said += os.read(mine, 4096)
            process.kill()
        os.close(mine)
        token = (tmp_path / "data" / "vendor-token").read_bytes().strip()
        assert (b"shown this once: " + token in said) == (time == 0)
