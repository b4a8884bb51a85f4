"""`ds18x20` of the simulated board, with the errors and the silences of the real driver."""

_CONVERT = 0x44
_READ_SCRATCH = 0xBE
_WRITE_SCRATCH = 0x4E


class DS18X20:
    def __init__(self, onewire):
        self.ow = onewire
        self.buf = bytearray(9)

    def scan(self):
        return [rom for rom in self.ow.scan() if rom[0] in (0x10, 0x22, 0x28)]

    def convert_temp(self):
        """Start a conversion in all sensors; it takes 750 ms."""
        self.ow.reset(True)
        self.ow.writebyte(self.ow.SKIP_ROM)
        self.ow.writebyte(_CONVERT)

    def read_scratch(self, rom):
        self.ow.reset(True)
        self.ow.select_rom(rom)
        self.ow.writebyte(_READ_SCRATCH)
        self.ow.readinto(self.buf)
        if self.ow.crc8(self.buf):
            raise Exception("CRC error")
        return self.buf

    def write_scratch(self, rom, buf):
        self.ow.reset(True)
        self.ow.select_rom(rom)
        self.ow.writebyte(_WRITE_SCRATCH)
        self.ow.write(buf)

    def read_temp(self, rom):
        """Degrees Celsius; the former value (85.0 after power on) while no conversion has ended."""
        scratch = self.read_scratch(rom)
        raw = scratch[1] << 8 | scratch[0]
        if raw & 0x8000:
            raw -= 0x10000
        if rom[0] == 0x10:  # half degrees, and in bytes 6 and 7 what is left of one; like the driver, whatever is there
            return (raw >> 1) - 0.25 + (scratch[7] - scratch[6]) / scratch[7]
        return raw / 16
