"""The arsenal, made once; and every case of it played once on each runtime, both at the same time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = str(Path(__file__).resolve().parent)
if HERE not in sys.path:  # the players are a program of their own, their modules no package
    sys.path.append(HERE)

import on_cpython  # noqa: E402
import runner  # noqa: E402
from arsenal import Arsenal  # noqa: E402

on_cpython.lend_ticks()


@pytest.fixture(scope="session")
def arsenal(tmp_path_factory: pytest.TempPathFactory) -> Arsenal:
    return Arsenal(tmp_path_factory.mktemp("hostile"))


class Plays:
    """How each runtime met its cases: `plays["cpython"]`. Both play at once; each is waited for when asked for."""

    def __init__(self, arsenal: Arsenal, factory: pytest.TempPathFactory) -> None:
        self.players = {}
        for runtime in runner.RUNTIMES:
            index = arsenal.index(f"{runtime}.cases", arsenal.chosen(runtime))
            self.players[runtime] = runner.Player(runtime, arsenal.folder, index, factory.mktemp(runtime))
        self._played: dict[str, runner.Played] = {}

    def __getitem__(self, runtime: str) -> runner.Played:
        if runtime not in self._played:
            self._played[runtime] = self.players[runtime].finish()
        return self._played[runtime]


@pytest.fixture(scope="session")
def played(arsenal: Arsenal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plays]:
    plays = Plays(arsenal, tmp_path_factory)
    yield plays
    for player in plays.players.values():
        player.stop()
