"""A board that measures: it installs a release by keeper, or copies it by the barest loop, as /bench.json says.

Each result is a line `bench: <what> <number>`; `bench: done` comes last. It takes the place of `thermometer.app` in a
release, and is merged with it.
"""

import gc
import json
import socket
import time
from binascii import a2b_base64, b2a_base64
from hashlib import sha256

import esp32

from keeper.board.layout import Layout
from keeper.board.slots import Slots
from keeper.console import say
from keeper.errors import KeeperError
from keeper.nvs.state import Store
from keeper.phases import forget
from keeper.services.gadgetkeeper.wire import GadgetKeeper
from keeper.services.version import Version
from keeper.talking.http import Client
from keeper.updating.checkpoint import Checkpoint
from keeper.updating.download import Download
from keeper.updating.installer import Installer
from thermometer.measuring.outbox import Outbox
from thermometer.measuring.sampler import Sampler
from thermometer.measuring.sensor import Sensor
from thermometer.station import hardware

BLOCK = 4096


class Product:
    """What a thermometer does while an update arrives: it measures, feeds the watchdog and says how far it is."""

    def __init__(self):
        self._board = hardware.build()
        self._sampler = Sampler(Sensor(self._board.bus, self._board.line), Outbox(), 30_000)
        self._said = -1
        self._board.start_watchdog(60_000)

    def join(self, ssid, key):
        """Join the Wi-Fi."""
        wlan = self._board.wlan
        wlan.active(True)
        wlan.connect(ssid, key)
        while not wlan.isconnected():
            time.sleep_ms(10)

    def pulse(self):
        self._sampler.poll()
        self._board.feed()

    def progress(self, done, total):
        twentieth = done * 20 // total
        if twentieth != self._said:
            self._said = twentieth
            say("download", "%d%% of %d KiB" % (twentieth * 5, total // 1024))


def install(config, product, raw, pulse):
    """A release by keeper: from the first request to the header, the last block that is written."""
    cloud = GadgetKeeper(Client(pulse), config["server"], raw)
    cloud.use(config)
    wanted, running, etag, resumable = _admitted(Life(cloud), Version(config["version"], "bench", "", None))
    manifest = Layout(*wanted)
    installer = Installer(Slots(), Checkpoint(), pulse, product.progress)
    download = Download(cloud, config["version"], manifest.file_size, etag, resumable)
    try:
        installer.install(download, manifest, Layout(*running))
    finally:
        download.close()


class Life:
    """What is asked of a life cycle before an update."""

    running = None, None

    def __init__(self, cloud):
        self.cloud = cloud
        self.standing = self

    def product(self):
        return "thermometer"

    def now(self):
        return None


def _admitted(life, version):
    from keeper import admitting

    try:
        return admitting.admit(life, version)
    finally:
        forget("keeper.admitting", "keeper.release", "trust")


def empty_slot():
    """Take the application's first block from the other slot: a release that is there already isn't installed again."""
    esp32.Partition(esp32.Partition.RUNNING).get_next_update().ioctl(6, 0)


def copy(config):
    """The same bytes by a loop that asks nothing and checks nothing: from a blocking socket into the other slot."""
    host, port = config["server"].split("//")[1].split(":")
    slot = esp32.Partition(esp32.Partition.RUNNING).get_next_update()
    buffer = bytearray(BLOCK)
    wire = socket.socket()
    try:
        wire.connect(socket.getaddrinfo(host, int(port))[0][-1])
        request = (
            "GET /v1/versions/%s/firmware.bin HTTP/1.1\r\nHost: %s:%s\r\nX-ApiKey: %s\r\nConnection: close\r\n\r\n"
        )
        wire.write((request % (config["version"], host, port, config["key"])).encode())
        if b" 200 " not in wire.readline():
            raise OSError("the server doesn't send the release")
        while wire.readline() != b"\r\n":
            pass
        block = 0
        while True:
            count = wire.readinto(buffer)
            if not count:
                break
            slot.writeblocks(block, buffer)
            block += 1
    finally:
        wire.close()


def hash_all(config):
    """What an installation can't do without, alone: the SHA-256 of it."""
    digest = sha256()
    buffer = bytearray(BLOCK)
    for _ in range(config["blocks"]):
        digest.update(buffer)
    digest.digest()


def read_all(config):
    """The same: reading it back from the slot."""
    slot = esp32.Partition(esp32.Partition.RUNNING).get_next_update()
    buffer = bytearray(BLOCK)
    for block in range(config["blocks"]):
        slot.readblocks(block, buffer)


def decode_all(config):
    """The same for JSON: decoding the text."""
    text = b2a_base64(bytes(BLOCK // 4 * 3))[:-1]  # without the line's end: 4096 characters
    for _ in range(config["blocks"] * 4 // 3):
        a2b_base64(text)


def read_takes(block_ms):
    """Let reading a block of flash take time: the simulator's reading takes none."""
    read = esp32.Partition.readblocks

    def readblocks(self, block, buffer, offset=0):
        time.sleep_ms(block_ms * len(buffer) / BLOCK)
        read(self, block, buffer, offset)

    esp32.Partition.readblocks = readblocks


def race(config, product):
    """Time each way of getting the release into the slot, in turn, again and again, and parts of that work."""
    ways = {
        "bare": lambda: copy(config),
        "raw": lambda: install(config, product, True, product.pulse),
        "json": lambda: install(config, product, False, product.pulse),
    }
    for _ in range(config["repetitions"]):
        for name in ("bare", "raw", "json"):
            empty_slot()
            timed(name, ways[name])
    timed("hash", lambda: hash_all(config))
    timed("read", lambda: read_all(config))
    timed("base64", lambda: decode_all(config))


def timed(name, work):
    """Do it, and print how many microseconds it took."""
    gc.collect()
    start_us = time.ticks_us()
    work()
    print("bench: %s_us %d" % (name, time.ticks_diff(time.ticks_us(), start_us)))


def peak(config, product):
    """Install once, and look at each pulse how much of the heap is really in use."""
    most = [0]

    def pulse():
        product.pulse()
        gc.collect()
        most[0] = max(most[0], gc.mem_alloc())

    pulse()
    before = most[0]
    install(config, product, config["raw"], pulse)
    print("bench: peak %d" % (most[0] - before))


def run():
    """Do what /bench.json says."""
    with open("/bench.json") as file:
        config = json.load(file)
    product = Product()
    product.join(config["ssid"], config["wifi_key"])
    product.pulse()
    Store().load("resume")  # what the simulator's NVS takes isn't the installation's
    if config["read_ms"]:
        read_takes(config["read_ms"])
    gc.collect()
    try:
        if config["task"] == "race":
            race(config, product)
        elif config["task"] == "peak":
            peak(config, product)
        elif config["task"] == "install":
            install(config, product, config["raw"], product.pulse)
        print("bench: done 1")
    except (KeeperError, MemoryError) as error:
        print("bench: failed: %s" % error)
