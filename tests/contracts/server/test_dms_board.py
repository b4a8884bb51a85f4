"""The board's own modules for Gecko OS DMS, on MicroPython in a small heap, against the real server."""

import os
import subprocess
from pathlib import Path

import pytest

import interpreter
from thermokeeper.client.calls import OwnerClient
from thermokeeper.contract.dms_uuid import uuid_of

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@pytest.fixture
def steps(shop):
    """steps(serial, step, ...): what a board that has just started says of each."""
    command = interpreter.command(heap_kib=256)
    environment = {**os.environ, **interpreter.environment(ROOT / "lib")}

    def run(serial: str, *steps: str) -> list[str]:
        arguments = [*command, str(HERE / "board_dms.py"), shop.server.url, serial, shop.tag, *steps]
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return [line.removeprefix("> ") for line in done.stdout.splitlines() if line.startswith("> ")]

    return run


def test_a_board_s_life(shop, steps):
    serial = f"B-{shop.tag}"
    uuid = uuid_of(serial)
    token = shop.vendor.create_dms_token(uuid=uuid)
    account = shop.owner()
    with OwnerClient(shop.server.url, account.token) as owner:
        owner.claim_device(uuid)
    shop.vendor.grant_access(account.id, shop.tag)
    shop.version("1", b"the firmware", publish=True, description="first")
    said = steps(
        *(serial, "status", f"provision:{token.token}", "status", "activate", "ensure", "give_name"),
        *("target", "current", "download", "confirm", "current", "failed", "report", "report"),
    )
    assert said == [
        "status: 0",
        "provision: None",
        "status: 3",
        f"activate: {shop.tag} Thermometer",
        "ensure: None",
        "give_name: None",
        "target: 1 first None",
        "current: None",
        "download: the firmware",
        "confirm: None",
        "current: 1 first None",
        "failed: None",
        "report: None",
        "report: None",
    ]
    thing = shop.vendor.thing(uuid)
    assert (thing.name, thing.owner) == ("ThermometerDevice", account.name)
    assert thing.current_version is not None and thing.current_version.name == "1"
    assert sorted(point.value for point in shop.vendor.datapoints(uuid)) == [-3.0, -3.0, 21.5]
    (again,) = steps(serial, f"provision:{token.token}")
    assert again.startswith("provision: CloudError:") and "spent" in again, "a board that has lost its NVS"


def test_what_a_board_says_of_a_refusal_is_the_servers_word(shop, steps):
    serial = f"R-{shop.tag}"
    token = shop.vendor.create_dms_token()
    said = steps(serial, "provision:wrong", "target", f"provision:{token.token}", "activate", "target")
    assert "unknown" in said[0] and "not provisioned" in said[1]
    assert "nobody has claimed this device" in said[3]
    assert "not activated" in said[4]
