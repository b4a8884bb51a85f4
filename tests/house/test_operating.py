"""docs/operating.md: its units are ones of systemd, and what they start are commands of ours."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from house.test_docs import ROOT, _fault

_TEXT = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
_TOOL = "/opt/thermokeeper/bin/thermokeeper"
# the name before a block of an INI file
UNITS = dict(re.findall(r"`/etc/systemd/system/([\w.-]+)`:\n\n```ini\n(.*?)^```", _TEXT, re.MULTILINE | re.DOTALL))


def test_the_units_of_the_page_are_found():
    assert set(UNITS) == {"thermokeeper.service", "thermokeeper-backup.service", "thermokeeper-backup.timer"}
    assert _TEXT.count("```ini") == len(UNITS)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_one_that_systemd_takes(tmp_path, name):
    for other, text in UNITS.items():
        (tmp_path / other).write_text(text.replace(_TOOL, str(Path(sys.executable).with_name("thermokeeper"))))
    verify = ["systemd-analyze", "verify", "--recursive-errors=yes", "--man=no", str(tmp_path / name)]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if str(tmp_path) in line or name in line]
    assert ours == []


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_a_mistake_in_a_unit_would_be_noticed(tmp_path):
    text = UNITS["thermokeeper.service"].replace("ProtectSystem=strict", "ProtectSystm=strict")
    (tmp_path / "thermokeeper.service").write_text(text)
    verify = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "thermokeeper.service")]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert "ProtectSystm" in done.stderr


def _started() -> list[str]:
    """Command lines of ours in the units and the Dockerfile."""
    lines = [line for text in UNITS.values() for line in re.findall(rf"{_TOOL}( .*?)(?:'|$)", text, re.MULTILINE)]
    start = re.search(r"^ENTRYPOINT \[(.*)\]\nCMD \[(.*)\]$", _TEXT, re.MULTILINE)
    assert start
    lines.append(" " + " ".join(re.findall(r'"([^"]*)"', start[0])).removeprefix("thermokeeper "))
    return [f"thermokeeper{line}" for line in lines]


def test_what_the_units_and_the_image_start_are_commands_with_their_options():
    assert len(_started()) == 3
    assert [fault for line in _started() if (fault := _fault(line, True))] == []
    assert all(shlex.split(line) for line in _started())
