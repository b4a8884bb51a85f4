"""What a board's process says last is heard, however it ends."""

from __future__ import annotations

import selectors
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from support_board import make_flash

from thermokeeper.simulator import runtimes
from thermokeeper.simulator.board import Board
from thermokeeper.simulator.runtimes import ProcessLife

LAST_WORDS = """
import os
print("the last line", flush=True)
os.write(int(os.environ["TK_SIM_CONTROL"]), b"watchdog\\n")
"""


@pytest.fixture
def life(tmp_path: Path) -> ProcessLife:
    """Of a board whose interpreter says its last words at once, and is gone."""
    make_flash(tmp_path / "flash.bin", ())
    board = Board(tmp_path / "flash.bin")
    board.origin_s = 0.0  # as when it is switched on
    life = ProcessLife(board, 1)
    life._command = lambda: [sys.executable, "-c", LAST_WORDS]  # type: ignore[method-assign]
    return life


def test_what_is_said_between_listening_and_the_end_is_heard(
    life: ProcessLife, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(selectors.DefaultSelector):
        looked = False

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            if self.looked:
                return super().select(timeout)
            self.looked = True
            life.process.wait(30)  # type: ignore[union-attr]
            return []

    # of this module alone: a server of other tests, in a thread of this process, waits on selectors, too
    monkeypatch.setattr(runtimes, "selectors", SimpleNamespace(DefaultSelector=Late, EVENT_READ=selectors.EVENT_READ))
    heard = []
    monkeypatch.setattr(life.board, "tell", lambda kind, text: heard.append(text))
    assert life.run() == "watchdog"
    assert heard == ["the last line"]
