"""What tests of keeper share: a service that behaves like the contract's server, a bootloader, a device over both.

Runs on CPython and MicroPython. The service keeps what the real one keeps and refuses what it refuses; a call can be
made to fail before or after it took effect. The bootloader knows otadata from its specification, not from `slots`.
"""

import binascii
import json
import struct

import esp32
from esp32 import Partition

import _sim
from keeper import ledger, lifecycle
from keeper.activation import Activation
from keeper.clouds.version import Version
from keeper.errors import CloudError
from keeper.identity import Identity
from keeper.installer import Installer
from keeper.ledger import Ledger
from keeper.lifecycle import Lifecycle
from keeper.slots import Slots
from keeper.state import Store
from support_flash import Ended, attach, board, otadata_entry

SERIAL = "THERM00000000000001"
BLOCK = 4096
OTADATA = 0xD000
SLOTS = {"ota_0": 0x10000, "ota_1": 0x20000}
SLOT_SIZE = 0x10000
NEW, PENDING, VALID, INVALID, ABORTED, UNDEFINED = 0, 1, 2, 3, 4, 0xFFFFFFFF


# flash contents


def factory_record(**changes):
    """A factory record's bytes; a member that is given None is left out."""
    members = {"serial": SERIAL, "product": "thermometer", "service": "gadgetkeeper"}
    members["server"] = "http://127.0.0.1:8000"
    members["plain_http"] = True
    for name, value in changes.items():
        if value is None:
            members.pop(name)
        else:
            members[name] = value
    return sealed_record(json.dumps(members).encode())


def sealed_record(text):
    """A factory record around any text, with the right length and checksum."""
    data = b"TKFACT01" + struct.pack("<H", len(text)) + text
    return data + struct.pack("<I", binascii.crc32(data))


def identity(**changes):
    """An Identity without a flash."""
    data = factory_record(**changes)
    return Identity(json.loads(data[10:-4]))


def slot_content(app, header, fs):
    """A release as it lies in a slot."""
    return app + b"\xff" * (-len(app) % BLOCK) + header + fs


def otadata(*entries):
    """Flash parts for up to two otadata entries, each (sequence, state) or None for a blank sector."""
    parts = []
    for sector, entry in enumerate(entries):
        if entry is not None:
            parts.append((OTADATA + sector * BLOCK, otadata_entry(*entry)))
    return parts


def flash_bytes(path, address, size):
    """What lies in a flash file."""
    with open(path, "rb") as file:
        file.seek(address)
        return file.read(size)


def fill_nvs(namespace="filler"):
    """Fill NVS with another program's blobs until not even a small one fits."""
    nvs = esp32.NVS(namespace)
    number = 0
    for size in (1000, 100, 1):
        while True:
            try:
                nvs.set_blob("b%d" % number, b"x" * size)
            except OSError as error:
                assert error.args[0] == -4357, error
                break
            number += 1


def boot(path):
    """Decide as ESP-IDF's bootloader does which slot runs, change otadata as it does, and return the slot's label."""
    with open(path, "r+b") as file:
        entries = []
        for sector in (0, 1):
            file.seek(OTADATA + sector * BLOCK)
            raw = file.read(32)
            sequence = struct.unpack("<I", raw[:4])[0]
            state, checksum = struct.unpack("<II", raw[24:])
            if state == PENDING:  # its one trial is over
                state = ABORTED
                _write_state(file, sector, state)
            if checksum == binascii.crc32(raw[:4], UNDEFINED) and sequence != UNDEFINED and state not in (3, 4):
                entries.append((sequence, state, sector))
        if entries:
            sequence, state, sector = max(entries)
            labels = ["ota_%d" % ((sequence - 1) % 2)]
            if state == NEW:
                _write_state(file, sector, PENDING)
        else:
            labels = ["ota_0"]
        labels.append("ota_1" if labels[0] == "ota_0" else "ota_0")
        for label in labels:
            if _is_application(file, SLOTS[label]):
                return label
    raise AssertionError("no slot can be booted: the board is bricked")


def _write_state(file, sector, state):
    file.seek(OTADATA + sector * BLOCK + 24)
    file.write(struct.pack("<I", state))


def _is_application(file, address):
    def read(at, buffer):
        file.seek(at)
        file.readinto(buffer)

    return esp32.valid_image(read, address, SLOT_SIZE)


# the service


class Service:
    """The server's side: one serial, its thing, the versions of its template.

    calls: the verbs that arrived, in order; a test that cares for the order reads it.
    """

    def __init__(self, serial=SERIAL):
        self.serial = serial
        self.key = None
        self.thing = None
        self.name = None
        self.versions = {}
        self.target_id = None
        self.current_id = None
        self.points = []
        self.refused_name = None
        self.short_by = 0  # bytes that are missing at the end of firmware that is sent
        self.calls = []
        self.opened = []
        self._activations = 0
        self._troubles = []

    def publish(self, version_id, firmware, digest=None):
        """Make a version and let it be the target."""
        self.versions[version_id] = (firmware, digest)
        self.target_id = version_id

    def trouble(self, verb, error, after=False, times=1):
        """Let the next calls of a verb raise `error`; `after`: once they took effect (the answer is lost)."""
        for _ in range(times):
            self._troubles.append((verb, error, after))

    def activate(self, serial):
        if serial != self.serial:
            raise CloudError(404, "not_found", "no such serial")
        self._activations += 1
        self.key = "key%d" % self._activations
        if self.thing is None:
            self.thing = "thing1"
            self.name = "Thermometer 2"
        return {"key": self.key, "thing": self.thing}

    def version(self, version_id):
        if version_id is None:
            return None
        return Version(version_id, "version " + version_id, "", self.versions[version_id][1])

    def arrive(self, verb, action):
        """Do what a call asks for, or refuse, as the plan of troubles has it."""
        self.calls.append(verb)
        for trouble in self._troubles:
            if trouble[0] == verb:
                self._troubles.remove(trouble)
                if trouble[2]:
                    action()
                raise trouble[1]
        return action()


class Cloud:
    """A driver for a Service: the verbs of keeper.clouds."""

    def __init__(self, service):
        self.service = service
        self._key = None
        self._thing = None

    def use(self, credentials):
        self._key = credentials["key"]
        self._thing = credentials["thing"]

    def activate(self, identity):
        return self.service.arrive("activate", lambda: self.service.activate(identity.serial))

    def rename(self, name):
        self._call("rename", lambda: self._rename(name))

    def target(self):
        return self._call("target", lambda: self.service.version(self.service.target_id))

    def current(self):
        return self._call("current", lambda: self.service.version(self.service.current_id))

    def confirm(self, version_id):
        self._call("confirm", lambda: self._confirm(version_id))

    def report(self, event, points):
        self._call("report", lambda: self.service.points.extend(points))

    def open_release(self, version_id, offset=0, etag=None):
        return self._call("open_release", lambda: self._open(version_id))

    def _call(self, verb, action):
        def authorised():
            if self._key is None or self._key != self.service.key or self._thing != self.service.thing:
                raise CloudError(401, "unauthorized", "key missing or wrong")
            return action()

        return self.service.arrive(verb, authorised)

    def _rename(self, name):
        if name == self.service.refused_name:
            raise CloudError(400, "bad_request", "name not allowed")
        self.service.name = name

    def _confirm(self, version_id):
        if version_id not in self.service.versions:
            raise CloudError(404, "not_found", "no such version")
        self.service.current_id = version_id

    def _open(self, version_id):
        firmware = self.service.versions[version_id][0]
        stream = Stream(firmware, len(firmware) - self.service.short_by)
        self.service.opened.append(stream)
        return stream


class Stream:
    """Firmware as it arrives: in pieces of odd sizes; it may end early. `size` is what the server says it has."""

    resumable = False
    offset = 0
    etag = None

    def __init__(self, data, end=None, size=None):
        self._data = memoryview(data)
        self._end = len(data) if end is None else end
        self._piece = 0
        self.position = 0
        self.size = size
        self.closed = False

    def readinto(self, buffer):
        assert not self.closed
        self._piece = self._piece % 1400 + 333
        count = min(len(buffer), self._piece, self._end - self.position)
        buffer[:count] = self._data[self.position : self.position + count]
        self.position += count
        return count

    def close(self):
        self.closed = True


# the device


class Clock:
    """Time that passes when a test says so, with the ticks of the board; starts shortly before they wrap."""

    _PERIOD = 1 << 30

    def __init__(self):
        self._now_ms = self._PERIOD - 1000

    def pass_ms(self, duration_ms):
        self._now_ms += duration_ms

    def ticks_ms(self):
        return self._now_ms % self._PERIOD

    def ticks_add(self, ticks, delta):
        return (ticks + delta) % self._PERIOD

    def ticks_diff(self, end, start):
        return (end - start + self._PERIOD // 2) % self._PERIOD - self._PERIOD // 2


class clock_of:
    """`with clock_of(ledger, lifecycle) as clock:` gives these modules a clock of the test's."""

    def __init__(self, *modules):
        self._modules = modules
        self._real = [module.time for module in modules]

    def __enter__(self):
        clock = Clock()
        for module in self._modules:
            module.time = clock
        return clock

    def __exit__(self, error_type, error, trace):
        for module, real in zip(self._modules, self._real):
            module.time = real
        return False


class Device:
    """`with Device(service, keys, parts) as device:` a flash that lives through resets, and the objects of one life.

    It is the product, too: `missing` is what its health lacks. `cut` (operation, moment, seed) ends one life.
    """

    def __init__(self, service, keys, parts, **changes):
        self.service = service
        self.keys = keys
        self.missing = ""
        self.resets = 0
        self.operations = 0
        self.cut = None
        self.identity = identity(**changes)
        self._board = board(parts)
        self._clock_of = clock_of(ledger, lifecycle)

    def __enter__(self):
        self.clock = self._clock_of.__enter__()
        self.path = self._board.__enter__().path
        return self

    def __exit__(self, *error):
        self._clock_of.__exit__(*error)
        return self._board.__exit__(*error)

    def start(self):
        """Boot and build a life's objects, as a product does."""
        self.label = boot(self.path)
        settings = {}
        if self.cut:
            settings["cuts"] = [{"operation": self.cut[0], "moment": self.cut[1], "seed": self.cut[2]}]
        self.sim = attach(self.path, self.label, settings)
        self.sim.operations = self.operations
        self.cloud = Cloud(self.service)
        self.slots = Slots()
        self.store = Store()
        installer = Installer(self.slots, self.keys, self.identity.product, self._pulse)
        running = installer.manifest_in(self.slots.running)
        self.activation = Activation(self.identity, self.store, self.cloud, "ThermometerDevice")
        self.ledger = Ledger(self.store, running)
        self.lifecycle = Lifecycle(self.activation, self.ledger, self.slots, installer, self.cloud, self)
        self.lifecycle.begin(running.version if running else "unknown")

    def live(self, turns=4, turn_ms=901_000):
        """One life with some turns of work; how it ended: "reset", "cut" or, if it goes on, "alive"."""
        try:
            self.start()
            self.turn(turns, turn_ms)
            end = "alive"
        except Ended as ended:
            end = str(ended)
        finally:
            self.operations = self.sim.operations
        return end

    def turn(self, turns=1, turn_ms=901_000):
        """Let the life cycle do what is due, some times, with time between."""
        for _ in range(turns):
            self.lifecycle.step()
            self.clock.pass_ms(turn_ms)

    def calls(self):
        """The verbs that the service heard since this was asked last."""
        heard = self.service.calls[:]
        del self.service.calls[:]
        return heard

    def slot(self, label, size):
        """Content of a slot."""
        return flash_bytes(self.path, SLOTS[label], size)

    def record(self, name):
        """A record in NVS as it is, or None."""
        return Store().load(name)

    # the product

    def healthy(self):
        return self.missing

    def before_reset(self):
        pass

    def reset(self):
        self.resets += 1
        _sim.board().end("reset")

    def _pulse(self):
        pass


def other_partition():
    """The partition that doesn't run, as esp32 has it."""
    return Partition(Partition.RUNNING).get_next_update()
