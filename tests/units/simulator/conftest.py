"""Puts the helpers of the unit tests on the path, and gives each test a flash file of its own."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "device"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture
def flash(tmp_path: Path) -> Path:
    """Where a test makes its flash file."""
    return tmp_path / "flash.bin"
