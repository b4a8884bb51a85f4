"""Lives the lives that it is told on its standard input, one JSON line each, and says what came of each on the other.

`python -m exchanges.worker FOLDER`: the folder holds the goods (setting.py). A process of its own,
so that a campaign can use all processors; it has one server for all its lives.
"""

from __future__ import annotations

import faulthandler
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from exchanges.dms import DmsLife
from exchanges.harms import HARMS, PlannedHarm
from exchanges.life import Life, Outcome
from exchanges.proxy import Request
from exchanges.setting import Goods, Service, service

GADGETKEEPER, DMS = "gadgetkeeper", "dms"
LIVES = {GADGETKEEPER: Life, DMS: DmsLife}
_STUCK_S = 150


def live(case: dict[str, Any], goods: Goods, served: Service, folder: Path) -> Outcome:
    """One life. case: name; number, harm, seed for one harmed exchange (or `harms`: [[number, harm, seed], ...]), or
    storm: how likely each exchange is harmed, seed, and until: the exchange from which on none is. cloud: its service.
    """
    planned: list[tuple[int, PlannedHarm]] = []
    for number, name, seed in case.get("harms", ()):
        planned.append((number, HARMS[name].at(seed)))
    storm = "storm" in case
    life = LIVES[case.get("cloud", GADGETKEEPER)](case["name"], goods, served, folder, case.get("activations", 0))
    for number, harm in planned:
        if HARMS[harm.name].refuses:
            life.proxy.refused.add(number)
        else:
            life.proxy.plan[number] = harm
    if storm:
        chance = random.Random(case["seed"])
        ways = [harm for harm in HARMS.values() if not harm.refuses and "restarted" not in harm.name]

        def choose(request: Request) -> PlannedHarm | None:
            if len(life.proxy.records) > case["until"] or chance.random() >= case["storm"]:
                return None
            return chance.choice(ways).at(chance.randrange(1 << 30))

        life.proxy.choose = choose
        life.pace["period_s"] = 20  # storms may take an hour, and what is measured has to fit into RAM meanwhile
    outcome = life.live()
    outcome.in_vain = bool(planned) and all(harm.in_vain for _, harm in planned)
    if not storm:
        outcome.problems += _unharmed(case, outcome) + hasty(outcome)
    return outcome


def _unharmed(case: dict[str, Any], outcome: Outcome) -> list[str]:
    harmed = [number for number, exchange in enumerate(outcome.exchanges) if exchange[1]]
    expected = [number for number, _, _ in case.get("harms", ())]
    return [] if harmed == expected else [f"the exchanges {harmed} were harmed, and not {expected}"]


def hasty(outcome: Outcome) -> list[str]:
    """What was asked for again before the server wanted it."""
    found = []
    for number, (label, name, _, at_ms) in enumerate(outcome.exchanges):
        least_ms = HARMS[name].least_pause_ms if name in HARMS else 0
        for again, _, status, again_ms in outcome.exchanges[number + 1 :]:
            if not least_ms or status == 401:
                break  # the key was dropped meanwhile: a new one is asked for at once, and tried
            if again == label:
                if again_ms - at_ms < least_ms:
                    pause_s = (again_ms - at_ms) / 1000
                    found.append(f"asks for {label} after {pause_s:.1f} s, not after {least_ms / 1000:.0f} s")
                break
    return found


def main() -> None:
    home = Path(sys.argv[1])
    goods: dict[bool, Goods] = {}
    with tempfile.TemporaryDirectory(prefix="thermokeeper-exchanges-") as name, service(Path(name)) as served:
        for line in sys.stdin:
            case = json.loads(line)
            source = case.get("runtime", "cpython") == "cpython"
            if source not in goods:
                goods[source] = Goods(home, source)
            faulthandler.dump_traceback_later(_STUCK_S, exit=True)
            outcome = live(case, goods[source], served, Path(name))
            faulthandler.cancel_dump_traceback_later()
            print(outcome.to_json(), flush=True)


if __name__ == "__main__":
    main()
