"""What a batch is made of: firmware, release and boot files, copied when it was made; and one board's flash from them.

All boards of a batch get the same bytes but for their factory record and Wi-Fi networks. The copies make a batch that
is resumed after a month the same as it was.
"""

import dataclasses
from pathlib import Path

from keeper import release as release_format
from keeper.errors import ReleaseError
from thermokeeper.errors import ToolError
from thermokeeper.factory.units import Plan, Seed
from thermokeeper.files import read_bytes, write_bytes
from thermokeeper.formats import factory_record, nvs
from thermokeeper.formats.partitions import table_for
from thermokeeper.image import builder
from thermokeeper.image.builder import Piece
from thermokeeper.release import keys
from thermokeeper.release.builder import ReleaseFile, read_release
from thermokeeper.release.firmware import read_firmware

_FIRMWARE = "firmware.bin"
_RELEASE = "release.tkr"


def put_by(folder: Path, firmware: Path, release: Path, vfs: Path) -> None:
    """Copy what a batch is made of into its folder."""
    write_bytes(folder / _FIRMWARE, read_bytes(firmware, "a MicroPython firmware file"))
    write_bytes(folder / _RELEASE, read_bytes(release, "a release file"))
    for name, content in builder.read_vfs_files(vfs).items():
        write_bytes(folder / name, content)


def checked_release(path: Path, trust: tuple[Path, ...]) -> ReleaseFile:
    """A signed release; with `trust`, signed by one of these keys."""
    found = read_release(path)
    if not found.signed:
        raise ToolError(f"{path} isn't signed; sign it with `thermokeeper release sign`")
    moduli = [keys.load_public(key) for key in trust]
    try:
        if moduli:
            release_format.verify(found.header, {release_format.key_id(modulus): modulus for modulus in moduli})
    except ReleaseError as error:
        raise ToolError(f"{path}: {error}") from None
    return found


class Stock:
    """The flash of each board of a batch, from the folder that `put_by` filled."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        table = table_for(plan.flash_size)
        firmware = read_firmware(folder / _FIRMWARE)
        self.plan = plan
        self.chip = firmware.chip
        self.record_offset = table["factory"].offset
        self._table = table
        self._pieces = builder.pieces(
            firmware,
            read_release(folder / _RELEASE),
            b"",
            [],
            builder.read_vfs_files(folder),
            plan.flash_size,
            plan.product,
        )

    def record(self, unit: Seed) -> bytes:
        """The 4096 bytes of its factory record."""
        if not unit.secret:
            raise ToolError(f"the secret of {unit.serial} was forgotten: its board can't be written again")
        members = {**self.plan.members, **unit.members, "secret": unit.secret}
        if unit.token:
            members["token"] = unit.token
        return factory_record.pack(unit.serial, self.plan.product, self.plan.server, self.plan.service, **members)

    def pieces(self, unit: Seed) -> list[Piece]:
        """All that is written to its board."""
        networks = [nvs.parse_network(unit.wifi)] if unit.wifi else []
        own = {"factory": self.record(unit), **nvs.kept(networks, self._table)}
        return [dataclasses.replace(piece, data=own.get(piece.name, piece.data)) for piece in self._pieces]
