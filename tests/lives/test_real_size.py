"""The same with real MicroPython images of 1.5 MB: nothing of their size is ever in RAM."""

import pytest

from lives.front import status
from lives.kit import MICROPYTHON, REAL, REAL_TOO


# Only compiled does our code fit into a slot beside them.
@pytest.mark.parametrize("runtime", [MICROPYTHON], ids=lambda it: it.name, indirect=True)
@pytest.mark.parametrize("raw", [True, pytest.param(False, marks=pytest.mark.whole)], ids=["raw", "base64-in-JSON"])
def test_an_update_of_one_and_a_half_megabytes(company, new_life, raw):
    company.publish("1.0.0", size=REAL)
    life = new_life().made(company.foundry.release("1.0.0", company.runtime.source, size=REAL))
    if not raw:
        company.front.on("GET .*/firmware.bin", status(404))
    life.boots()
    life.says("version", "up to date: 1.0.0")
    life.publish("2.0.0", size=REAL_TOO)
    life.says("download", "^0% of 1[0-9]{3} KiB")
    life.says("reset", "into release 2.0.0 in ota_1", 60)
    life.says("version", "up to date: 2.0.0")
    assert life.version == "2.0.0"
    life.measures(2)
