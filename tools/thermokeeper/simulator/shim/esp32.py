"""`esp32` of the simulated board: partitions and NVS as MicroPython gives them over ESP-IDF, errors included."""

import _sim
import _simota
from _sim import SECTOR, fail
from _simnvs import Storage
from micropython import const

HEAP_DATA = 4
HEAP_EXEC = 1
_APP = const(0)
_DATA = const(1)
_ANY = const(0xFF)


def idf_heap_info(capabilities):
    """[(total, free, largest free block, least free ever)], a region each; the chip leaves out what hasn't them all."""
    board = _sim.board()
    board.alive()
    board.memory.look()
    return board.memory.pool.info()


def raw_temperature():
    """Degrees Fahrenheit of the chip."""
    return 128


class Partition:
    """A partition of the table at 0x8000, in blocks of 4096 bytes."""

    BOOT = 0
    RUNNING = 1
    TYPE_APP = _APP
    TYPE_DATA = _DATA

    def __init__(self, id, block_size=SECTOR):
        if block_size != SECTOR:
            raise ValueError("block size")
        board = _sim.board()
        board.alive()
        if isinstance(id, tuple):
            entry = id
        elif id == self.BOOT:
            entry = _simota.boot_entry(board)
        elif id == self.RUNNING:
            entry = _by_label(board, _APP, board.running)
        elif isinstance(id, str):
            entry = _by_label(board, _APP, id) or _by_label(board, _DATA, id)
        elif isinstance(id, int):
            raise ValueError
        else:
            raise TypeError("can't convert to str")
        if entry is None:
            raise OSError(2)  # ENOENT
        self._entry = entry

    @staticmethod
    def find(type=_APP, subtype=_ANY, label=None, block_size=SECTOR):
        """List of the partitions that match."""
        return [
            Partition(entry)
            for entry in _sim.board().partitions
            if entry[0] == type and subtype in (_ANY, entry[1]) and label in (None, entry[4])
        ]

    def info(self):
        return self._entry

    def readblocks(self, block, buf, offset=0):
        offset += block * SECTOR
        self._check(offset, len(buf))
        _sim.board().read(self._entry[2] + offset, buf)

    def writeblocks(self, block, buf, offset=None):
        if offset is None:
            offset = block * SECTOR
            self._erase(offset, len(buf))
        else:
            offset += block * SECTOR
        self._check(offset, len(buf))
        self._guard()
        if len(buf):
            _sim.board().program(self._entry[2] + offset, buf)

    def ioctl(self, command, argument=0):
        if command in (1, 2, 3):
            return 0
        if command == 4:
            return self._entry[3] // SECTOR
        if command == 5:
            return SECTOR
        if command == 6:
            self._erase(argument * SECTOR, SECTOR)
            return 0
        return None

    def _check(self, offset, size):
        if offset < 0 or offset > self._entry[3]:
            fail(-258)
        if offset + size > self._entry[3]:
            fail(-260)

    def _guard(self):
        # ESP-IDF aborts rather than let the running application overwrite itself.
        if self._entry[4] == _sim.board().running and self._entry[0] == _APP:
            _sim.board().end("panic: write to the running application")

    def _erase(self, offset, size):
        self._check(offset, size)
        if size % SECTOR:
            fail(-260)
        if offset % SECTOR:
            fail(-258)
        self._guard()
        board = _sim.board()
        start = self._entry[2] + offset
        for address in range(start, start + size, SECTOR):
            board.erase(address)

    def set_boot(self):
        """Check the application, then select it for the next boot, on trial."""
        board = _sim.board()
        kind, subtype, address, size = self._entry[:4]
        if kind != _APP or not _simota.valid_image(board.read, address, size):
            fail(-5379)
        _simota.select(board, subtype)

    def get_next_update(self):
        """The application slot that follows this one."""
        slots = [
            entry for entry in _sim.board().partitions if entry[0] == _APP and _simota.FIRST_SLOT <= entry[1] < 0x20
        ]
        slots.sort(key=lambda entry: entry[1])
        if not slots:
            raise OSError(2)
        for position, entry in enumerate(slots):
            if entry == self._entry:
                return Partition(slots[(position + 1) % len(slots)])
        return Partition(slots[0])

    @classmethod
    def mark_app_valid_cancel_rollback(cls):
        """Bless the slot that is selected for the NEXT boot, which need not be the one that runs."""
        _simota.confirm(_sim.board())


def _by_label(board, kind, label):
    for entry in board.partitions:
        if entry[0] == kind and entry[4] == label:
            return entry
    return None


class NVS:
    """A namespace of the partition `nvs`."""

    def __init__(self, namespace):
        self._storage = _storage()
        self._namespace = self._storage.open(namespace)

    def set_i32(self, key, value):
        if not -0x80000000 <= value <= 0x7FFFFFFF:
            raise OverflowError("overflow converting long int to machine word")
        self._storage.set_i32(self._namespace, key, value)

    def get_i32(self, key):
        return self._storage.get_i32(self._namespace, key)

    def set_blob(self, key, value):
        self._storage.set_blob(self._namespace, key, value)

    def get_blob(self, key, buffer):
        return self._storage.get_blob(self._namespace, key, buffer)

    def erase_key(self, key):
        self._storage.erase(self._namespace, key)

    def commit(self):
        """Nothing is left to do: every write has reached flash by itself."""
        _sim.board().alive()


_stores = []


def _storage():
    board = _sim.board()
    board.alive()
    if not _stores or _stores[0][0] is not board:
        for kind, subtype, address, size, label, _ in board.partitions:
            if kind == _DATA and subtype == 2 and label == "nvs":
                _stores[:] = [(board, Storage(board, address, size))]
                break
        else:
            raise OSError(-4367, "ESP_ERR_NVS_PART_NOT_FOUND")
    return _stores[0][1]
