"""The cases notice when a check is missing: one at a time is taken out of a copy of the device's code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import runner
from arsenal import Arsenal
from mutations import MUTATIONS, Mutation

CASES_EACH = 40


def chosen(arsenal: Arsenal, prefixes: tuple[str, ...]) -> list[dict[str, object]]:
    """The cases with these names; of releases, if there are many, some CASES_EACH of them, evenly."""
    cases = [case for case in arsenal.cases if case["name"].startswith(prefixes)]
    return cases[:: max(len(cases) // CASES_EACH, 1)] if cases[0]["kind"] == "release" else cases


@pytest.mark.whole
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_missing_check_is_noticed(mutation: Mutation, arsenal: Arsenal, tmp_path: Path) -> None:
    shutil.copytree(runner.ROOT / "lib", tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("boot.py", "main.py"):
        shutil.copy(runner.ROOT / name, tmp_path)
    path = tmp_path / mutation.file
    text = path.read_text()
    for old, new in mutation.changes:
        assert text.count(old) == 1, f"{mutation.file} doesn't say {old!r} (once): say in mutations.py how it reads now"
        text = text.replace(old, new)
    path.write_text(text)
    cases = chosen(arsenal, mutation.cases)
    index = arsenal.index(f"mutation-{MUTATIONS.index(mutation)}.cases", cases)
    played = runner.Player(mutation.runtime, arsenal.folder, index, tmp_path, tmp_path / "lib").finish(150)
    assert played.wrong, f"{len(cases)} cases were met as if nothing were missing"
    assert "the start" not in played.wrong, played.wrong
