"""The demo's story with GadgetKeeper's protocol: the board activates itself by its serial number."""

from collections.abc import Iterator
from typing import Any, ClassVar

from thermokeeper.contract.schemas import Thing
from thermokeeper.demo.story import SERIAL, Story
from thermokeeper.demo.telling import Watcher
from thermokeeper.demo.workshop import PRODUCT


class GadgetKeeperStory(Story):
    kept: ClassVar = {"keeper/cloud": "apiKey and thing id"}

    def register(self) -> dict[str, Any]:
        self.vendor.add_serial(PRODUCT, SERIAL)
        self.telling.line("vendor", f"registered product Thermometer and serial {SERIAL}")
        return {}

    def join(self, watcher: Watcher) -> None:
        with self.telling.step("boot, activate"):
            watcher.wait_for("identity", SERIAL, "reading the serial from flash")
            watcher.wait_for("activate", "done", "activation")

    def outcome(self, thing: Thing) -> Iterator[tuple[str, str]]:
        yield from ()
