"""What holds for every test: nothing of the person who runs it is read or changed, and random tests repeat."""

import atexit
import gc
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coverage
import hypothesis
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from extent import WHOLE

# They keep a processor busy for minutes, with processes of their own: one after the other, while the rest runs beside.
CAMPAIGNS = ("tests/campaigns/power/", "tests/campaigns/exchanges/", "tests/campaigns/hostile/")
# A simulated board on a port answers programs of the host, which have limits of their own.
REAL_TIME = ("tests/real_time/", "tests/on_a_port/")
UNMEASURED = (*CAMPAIGNS, "tests/lives/")

hypothesis.settings.register_profile(
    "house", deadline=None, derandomize=bool(os.environ.get("CI")), max_examples=100 if WHOLE else 40
)
hypothesis.settings.load_profile("house")


def _make_test_key() -> None:
    """Make the key that signs this run's releases; releases.py reads it when a test file is imported."""
    numbers = rsa.generate_private_key(65537, 3072).private_numbers()
    key = {"p": numbers.p, "q": numbers.q, "dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
    handle, name = tempfile.mkstemp(prefix="thermokeeper-test-key-", suffix=".json")
    with os.fdopen(handle, "w") as file:
        json.dump({part: f"{number:x}" for part, number in key.items()}, file)
    os.environ["THERMOKEEPER_TEST_KEY"] = name
    atexit.register(Path(name).unlink, missing_ok=True)


def _give_esptool_time() -> None:
    """Where other tests keep the processors busy, a chip that is a process answers later than one of silicon."""
    handle, name = tempfile.mkstemp(prefix="thermokeeper-esptool-", suffix=".cfg")
    with os.fdopen(handle, "w") as file:
        file.write("[esptool]\ntimeout = 30\nsync_timeout = 1\nmem_end_rom_timeout = 2\nmd5_timeout_per_mb = 60\n")
    os.environ["ESPTOOL_CFGFILE"] = name  # read when esptool is imported
    atexit.register(Path(name).unlink, missing_ok=True)


_make_test_key()
_give_esptool_time()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several processes run the tests, each file is run by one, and each campaign, before the others."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            campaign = next((one for one in CAMPAIGNS if nodeid.startswith(one)), None)
            return campaign or nodeid.split("::", maxsplit=1)[0]

        def _assign_work_unit(self, node: Any) -> None:
            for campaign in CAMPAIGNS:
                if campaign in self.workqueue:
                    self.workqueue.move_to_end(campaign, last=False)  # they take longest
            super()._assign_work_unit(node)

    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What lies in the folders of the real clock is marked so."""
    for item in items:
        if item.nodeid.startswith(REAL_TIME):
            item.add_marker(pytest.mark.real_time)


@pytest.fixture(autouse=True, scope="module")
def _measured_where_it_tells_something(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whole lives, lived by the hundred, add little to what other tests cover, and would take three times as long."""
    running = coverage.Coverage.current()
    if running is None or not request.node.nodeid.startswith(UNMEASURED):
        yield
        return
    running.stop()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # what measures the processes that a test starts
        yield
    running.start()


@pytest.fixture(autouse=True, scope="module")
def _garbage_of_this_file_only() -> None:
    """Device code collects garbage as often as a board must, and each time all of this process would be searched."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _away_from_the_users_own_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Data, settings and caches that a tool keeps for its user go to a directory of this run; no proxy for loopback."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        for kind in ("DATA", "CONFIG", "STATE"):
            patch.setenv(f"XDG_{kind}_HOME", str(home / kind.lower()))
        patch.setenv("XDG_CACHE_HOME", str(Path(__file__).parents[1] / "build" / "cache"))
        for name in list(os.environ):
            if name.startswith("THERMOKEEPER_") and name != "THERMOKEEPER_TEST_KEY":
                patch.delenv(name)
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "127.0.0.1,localhost,::1")
        yield
