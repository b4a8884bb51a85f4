"""A board's own modules for Gecko OS DMS against a server: `board_dms.py URL SERIAL CODE STEP...`.

Each step prints one line with what came of it. What the board keeps is in a dictionary in place of NVS.
"""

import sys

from keeper import phases
from keeper.errors import KeeperError
from keeper.services.gecko_dms.joining import provisioning
from keeper.services.gecko_dms.standing import GeckoDms
from keeper.services.gecko_dms.wire import DmsWire
from keeper.talking.http import Client


class Identity:
    def __init__(self, server, serial):
        self.serial = serial
        self.product = "thermometer"
        self.service = "gecko_dms"
        self.server = server
        self.extra = {}


class Loaded:
    """In place of what phases know as loaded: none is forgotten, and with it what stands in place of NVS."""

    modules = {}


class Store:
    def __init__(self):
        self.records = {}

    def load(self, name):
        return self.records.get(name)

    def save(self, name, record):
        self.records[name] = dict(record)

    def erase(self, name):
        self.records.pop(name, None)


def described(version):
    return version and f"{version.name} {version.description} {version.digest}"


def run(step, wire, board, code):
    """One step; what to say of it."""
    if step.startswith("provision:"):
        return board.provision(step.partition(":")[2])
    if step == "status":
        return board.get_provision_status()
    if step == "activate":
        answer = board.activate(code)
        return f"{answer['product']} {answer['name']}"
    if step == "ensure":
        return board.ensure()
    if step == "give_name":
        return board.give_name()
    if step == "target":
        return described(wire.target())
    if step == "current":
        return described(wire.current())
    if step == "download":
        stream = wire.open_release(wire.target().id)
        block = bytearray(64)
        count = stream.readinto(block)
        stream.close()
        return bytes(block[:count]).decode()
    if step == "confirm":
        return wire.confirm(wire.target().id)
    if step == "failed":
        return wire.failed(wire.target().id, "1.0.0", "no network")
    if step == "report":
        return wire.report("temperature", [(21.5, "2026-11-21T20:13:18.000+0000"), (-3, None)])
    raise ValueError(step)


def main(url, serial, code, steps):
    wire = DmsWire(Client(lambda: None), url)
    store = Store()
    phases.sys, provisioning.Store = Loaded, lambda: store
    board = GeckoDms(Identity(url, serial), wire, "ThermometerDevice")
    board.recall()
    for step in steps:
        try:
            said = run(step, wire, board, code)
        except KeeperError as error:
            said = f"{type(error).__name__}: {error}"
        name = step.partition(":")[0]
        print(f"> {name}: {said}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
