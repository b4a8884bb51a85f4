"""The demos tell what happened, and end with status 0 only if it did."""

import subprocess
import threading

import pytest
from rich.console import Console

from thermokeeper.client.calls import OwnerClient, VendorClient
from thermokeeper.demo import telling
from thermokeeper.demo.__main__ import main
from thermokeeper.errors import ToolError
from thermokeeper.files import PROJECT

_TOLD = {
    "gadgetkeeper": ["registered product Thermometer and serial", "activate done: thing", "apiKey and thing id"],
    "dms": [
        "made a provisioning token",
        "provision done: device",
        "has the acknowledgement; the token is used",
        "nobody has claimed this device",
        "Jane Doe claimed device",
        "of product thermometer",
        "the token isn't in it any more",
        "activated to product thermometer, claimed by Jane Doe",
        "its token is used: taken 1 of 1",
    ],
}
_TOLD_ALWAYS = [
    "thing named ThermometerDevice",
    "published version 2",
    "trial passed: ota_1 stays",
    "version up to date: 2",
    "refuses: the release is signed with a key that isn't trusted here",
    "not a byte of either slot was erased or written for it",
    "rollback release 4.0.0 didn't prove itself",
    "was told: 4.0.0",
    "the power is gone",
    "download goes on at",
    "trial passed: ota_0 stays",
    "Shown: a board activated itself",
    "what came of it",
    "next boot: ota_0",
    "peak heap",
    "all together",
]


@pytest.mark.whole  # the demo is more than half a minute of processor time, and test_readme.py runs it, too
@pytest.mark.parametrize("cloud", ["gadgetkeeper", "dms"])
def test_a_story_is_told_to_its_end(cloud, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main([cloud]) == 0
    told, errors = capsys.readouterr()
    assert errors == ""
    missing = [words for words in _TOLD[cloud] + _TOLD_ALWAYS if words not in told]
    assert missing == [], told


@pytest.mark.whole
def test_a_step_that_does_not_happen_ends_the_demo(capsys, monkeypatch):
    monkeypatch.setattr(telling, "STEP_LIMIT_S", 4)
    monkeypatch.setattr(OwnerClient, "claim_device", lambda self, uuid: None)
    assert main(["dms"]) == 1
    told, errors = capsys.readouterr()
    assert errors.startswith("demo failed: activation to the product did not happen in 4 s")
    assert errors.count("\n") == 1 and "what came of it" not in told


def test_what_the_server_knows_otherwise_ends_the_demo(capsys, monkeypatch):
    monkeypatch.setattr(VendorClient, "create_dms_token", _with_two_uses(VendorClient.create_dms_token))
    assert main(["dms"]) == 1
    told, errors = capsys.readouterr()
    assert errors == "demo failed: the token is open, not used\n" and "claimed device" not in told


def _with_two_uses(create):
    return lambda self, **which: create(self, uses=2)


def test_a_service_without_a_story_is_one_line(capsys):
    assert main(["nimbus"]) == 2
    told, errors = capsys.readouterr()
    assert told == "" and errors == "there is no demo for 'nimbus'; CLOUD is one of: gadgetkeeper, dms\n"


@pytest.mark.parametrize(
    ("given", "wanted"), [([], "gadgetkeeper"), (["CLOUD=dms"], "dms"), (["CLOUD=two words"], "two words")]
)
def test_make_says_which_story(given, wanted, monkeypatch):
    monkeypatch.delenv("CLOUD", raising=False)
    make = ["make", "--no-print-directory", "--dry-run", "--directory", PROJECT, "demo", *given]
    said = subprocess.run(make, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1].endswith(f"-m thermokeeper.demo '{wanted}'")


def test_a_board_that_says_nothing_ends_the_demo(monkeypatch):
    monkeypatch.setattr(telling, "STEP_LIMIT_S", 0.2)
    silence = threading.Event()

    def nothing():
        silence.wait(30)
        yield telling.Event("off", "", 0.0)

    watcher = telling.Watcher(nothing(), telling.Telling(Console(quiet=True)), silence.set)
    with pytest.raises(ToolError, match=r"a word did not happen in 0.2 s"):
        watcher.wait_for("reading", "", "a word")
