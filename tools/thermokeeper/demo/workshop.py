"""A vendor's workshop in one folder: a signing key, releases made from lib/, flash images; for demo, tests and bench.

It does what the commands `release keygen`, `release build`, `release sign` and `image build` do, by the same
functions. It knows no server and runs no board.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thermokeeper.files import PROJECT, write_bytes
from thermokeeper.formats import factory_record, nvs
from thermokeeper.image import builder as image_builder
from thermokeeper.release import authority, keys, trust
from thermokeeper.release import builder as release_builder
from thermokeeper.release.application import BOARD_FILES, application_files, merged_files, trust_module
from thermokeeper.release.filesystem import pack_smallest
from thermokeeper.release.firmware import read_firmware

PRODUCT = "thermometer"
CREATED = "2026-11-21T20:13:18Z"


class Workshop:
    """firmware: MicroPython's whole firmware file. source: releases hold .py files, which CPython can run, too.

    Compiled releases have the modules of each folder in one, as `release build` makes them.
    """

    def __init__(self, folder: Path, firmware: Path, source: bool = False) -> None:
        self.folder = folder
        self.firmware = read_firmware(firmware)
        self.source = source
        self.key = folder / "signing-key.pem"
        if not self.key.exists():
            keys.generate(self.key, None)

    @property
    def modulus(self) -> bytes:
        """The public key."""
        return keys.load_public(public_key(self.key))

    def another_key(self, name: str) -> Path:
        """A further signing key of this workshop, made when it is asked for the first time."""
        path = self.folder / f"{name}-key.pem"
        if not path.exists():
            keys.generate(path, None)
        return path

    def release(
        self,
        version: str,
        overlay: Path | None = None,
        firmware: Path | None = None,
        *,
        key: Path | None = None,
        trusts: Sequence[Path] = (),
        revokes: Sequence[Path | str] = (),
        ca: Path | None = None,
        assets: dict[str, bytes] | None = None,
        **fields: Any,
    ) -> Path:
        """A signed release of lib/, with the files of `overlay` over it and perhaps another interpreter.

        assets: files beside the application's, path -> content.
        key: what signs it; the workshop's own without it, which is also what it trusts without `trusts`. Those and
        `revokes` are private or public keys (`revokes` ids, too); ca: the CA to trust for https.
        fields: what else `builder.build` takes: security, expires, product, compressed.
        """
        interpreter = read_firmware(firmware) if firmware else self.firmware
        lib = self.folder / f"lib-{version}"
        shutil.rmtree(lib, ignore_errors=True)
        shutil.copytree(PROJECT / "lib", lib, ignore=shutil.ignore_patterns("__pycache__"))
        for name in BOARD_FILES:  # beside lib/, where a release takes them from; others may lie there already
            if not (self.folder / name).exists():
                shutil.copy(PROJECT / name, self.folder)
        if overlay:
            shutil.copytree(overlay, lib, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        trusted = [public_key(path) for path in trusts or (self.key,)]
        revoked = [str(public_key(one) if isinstance(one, Path) else one) for one in revokes]
        brought, _ = trust.chosen(trusted, revoked, authority.for_trust(ca) if ca else None)
        files = application_files(lib, source=True) if self.source else merged_files(lib)[0]
        files |= assets or {}
        files |= trust_module(list(brought.keys.values()), self.source, brought.revoked, brought.ca)
        settings: dict[str, Any] = {
            "product": PRODUCT,
            "security": 1,
            "created": CREATED,
            "chip": interpreter.chip,
        } | fields
        data = release_builder.build(interpreter.application, pack_smallest(files), version=version, **settings)
        path = self.folder / f"{settings['product']}-{version}.tkr"
        write_bytes(path, release_builder.sign(data, keys.load_private(key or self.key, _no_passphrase)))
        return path

    def image(
        self,
        release: Path,
        serial: str,
        server: str,
        wifi: str = "workshop:thermometer",
        ca: Path | None = None,
        **record: Any,
    ) -> Path:
        """A board's whole flash, 4 MiB. ca: the CA to trust for https. record: more members of the factory record."""
        members: dict[str, Any] = {"plain_http": True, **record}
        if ca:
            members["ca"] = authority.for_record(ca)
        pieces = image_builder.pieces(
            self.firmware,
            release_builder.read_release(release),
            factory_record.pack(serial, PRODUCT, server, **members),
            [nvs.parse_network(wifi)],
            image_builder.read_vfs_files(PROJECT),
            "4MiB",
            PRODUCT,
        )
        path = self.folder / f"{serial}.flash.bin"
        write_bytes(path, image_builder.assemble(pieces, "4MiB"))
        return path


def public_key(path: Path) -> Path:
    """The public key that belongs to a private one, which is beside it; of a public one itself."""
    return path if path.name.endswith(".pub.pem") else path.with_suffix(".pub.pem")


def _no_passphrase(*_: object) -> str:
    raise RuntimeError("the workshop's key has no passphrase")
