"""`onewire` of the simulated board: a bus with at most one DS18B20 on it, answering byte by byte as the part does."""

import binascii

import _sim

_ROM = "28ff64c81604003c"
_CONVERT_MS = 750
_POWER_ON = b"\x50\x05\x4b\x46\x7f\xff\x0c\x10\x1c"


class OneWireError(Exception):
    pass


def crc8(data):
    """Dallas CRC of bytes; 0 over data that ends with its own CRC."""
    crc = 0
    for byte in data:
        for _ in range(8):
            odd = (crc ^ byte) & 1
            crc >>= 1
            byte >>= 1
            if odd:
                crc ^= 0x8C
    return crc


def _rom(sensor):
    rom = bytearray(binascii.unhexlify(sensor.get("rom", _ROM)))
    rom[7] = crc8(rom[:7])
    return rom


class _Sensor:
    """The part itself, powered on with the board."""

    def __init__(self):
        self.scratch = bytearray(_POWER_ON)
        self._ready_ms = None
        self._pending = None
        self.reads = 0

    def convert(self, sensor, now_ms):
        celsius = sensor.get("temperature_c", 21.5)
        wave = sensor.get("wave_c")
        if wave:
            # A slow triangle, so that successive readings differ and can be told apart.
            phase = now_ms % 60000 / 30000
            celsius += wave * (phase - 1 if phase < 1 else 1 - phase)
        self._pending = round(celsius * 16)
        self._ready_ms = now_ms + _CONVERT_MS

    def settle(self, now_ms):
        """Take over a conversion that is done: until then the former value is what can be read."""
        if self._ready_ms is not None and now_ms >= self._ready_ms:
            self._ready_ms = None
            raw = self._pending & 0xFFFF
            self.scratch[0] = raw & 0xFF
            self.scratch[1] = raw >> 8
            # Only a reset of the part leaves 0x0C here; a conversion changes it.
            self.scratch[6] = 0x10 - (raw & 0x0F)
            self._seal()

    def write(self, index, value):
        """Alarm bytes and configuration; they last until the part loses power."""
        self.scratch[2 + index] = value if index < 2 else value & 0x60 | 0x1F
        self._seal()

    def _seal(self):
        self.scratch[8] = crc8(self.scratch[:8])

    def power_cycle(self):
        self.scratch[:] = _POWER_ON
        self._ready_ms = None


_sensor = _Sensor()


class OneWire:
    """The bus. Faults of the world's sensor: missing, short, crc, power_on, silent."""

    SEARCH_ROM = 0xF0
    MATCH_ROM = 0x55
    SKIP_ROM = 0xCC

    def __init__(self, pin):
        self.pin = pin
        self._command = None
        self._skip = 0
        self._answer = b""

    def _world(self):
        board = _sim.board()
        sensor = board.world.get("sensor") or {}
        fault = sensor.get("fault")
        every = sensor.get("fault_every", 1)
        if fault and every > 1 and _sensor.reads % every:
            fault = None
        if fault == "power_on":
            _sensor.power_cycle()
        _sensor.settle(board.now_ms())
        return board, sensor, fault

    def reset(self, required=False):
        """True if a device answers."""
        _, _, fault = self._world()
        self._command = None
        self._skip = 0
        self._answer = b""
        present = fault != "missing"
        if required and not present:
            raise OneWireError
        return present

    def writebyte(self, value):
        board, sensor, fault = self._world()
        if fault == "missing":
            return
        if self._skip:
            self._skip -= 1
            self._address.append(value)
            if not self._skip and self._address != _rom(sensor):
                self._command = 0  # somebody else is meant
            return
        if value == self.MATCH_ROM:
            self._skip = 8
            self._address = bytearray()
        elif self._command == 0:
            return
        elif self._command == 0x4E:
            if self._written < 3:
                _sensor.write(self._written, value)
                self._written += 1
        elif value == 0x4E:
            self._command = value
            self._written = 0
        elif value == 0x44:
            _sensor.convert(sensor, board.now_ms())
        elif value == 0xBE:
            _sensor.reads += 1
            answer = bytearray(_sensor.scratch)
            if fault == "crc":
                answer[_sensor.reads % 8] ^= 0x10
            self._answer = b"\xff" * 9 if fault == "silent" else bytes(answer)

    def readbyte(self):
        _, _, fault = self._world()
        if fault == "short":
            return 0
        if not self._answer:
            return 0xFF
        value = self._answer[0]
        self._answer = self._answer[1:]
        return value

    def readbit(self):
        return self.readbyte() & 1

    def writebit(self, value):
        pass

    def readinto(self, buf):
        for index in range(len(buf)):
            buf[index] = self.readbyte()

    def write(self, buf):
        for value in buf:
            self.writebyte(value)

    def select_rom(self, rom):
        self.reset()
        self.writebyte(self.MATCH_ROM)
        self.write(rom)

    def scan(self):
        """List of the 8-byte addresses found."""
        _, sensor, fault = self._world()
        if fault == "missing":
            return []
        if fault == "short":
            return []
        return [_rom(sensor)]

    def crc8(self, data):
        return crc8(data)
