"""What the campaigns break on purpose is where they look for it; one that is elsewhere by now would break nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from exchanges.test_exchanges import GUARDS as OF_EXCHANGES
from hostile.mutations import MUTATIONS
from power.guards import GUARDS as OF_POWER

PROJECT = Path(__file__).resolve().parents[2]

BROKEN = [
    *((f"power: {guard.name}", f"lib/{file}", old) for guard in OF_POWER for file, old, _ in guard.changes),
    *((f"exchanges: {name}", f"lib/{file}", old) for name, it in OF_EXCHANGES.items() for file, old, _ in it.change),
    *((f"hostile: {it.name}", it.file, old) for it in MUTATIONS for old, _ in it.changes),
]


@pytest.mark.parametrize(("file", "old"), [it[1:] for it in BROKEN], ids=[it[0] for it in BROKEN])
def test_a_change_of_a_campaign_finds_its_place_once(file: str, old: str) -> None:
    assert (PROJECT / file).read_text(encoding="utf-8").count(old) == 1
