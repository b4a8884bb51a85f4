"""`thermokeeper image`: build, inspect."""

import json
from pathlib import Path
from typing import Any

import click

from keeper import release as release_format
from keeper.errors import ReleaseError
from thermokeeper.errors import ToolError
from thermokeeper.files import PROJECT, read_bytes, write_bytes
from thermokeeper.formats import factory_record, nvs
from thermokeeper.formats import members as record_members
from thermokeeper.formats.partitions import FLASH_SIZES
from thermokeeper.groups import Group
from thermokeeper.image import builder
from thermokeeper.image.describe import describe
from thermokeeper.release import authority, keys
from thermokeeper.release.builder import read_release
from thermokeeper.release.filesystem import unpack
from thermokeeper.release.firmware import read_firmware
from thermokeeper.release.trust import read_trust

_PATH = click.Path(path_type=Path)


@click.group("image", cls=Group)
def image_group() -> None:
    """Make a flash image for a serial number.

    The image is the whole flash of one board: bootloader, release, factory record; a board or the simulator boots it.

    \b
      thermokeeper image build --firmware ESP32_GENERIC.bin --release thermometer-1.0.0.tkr \\
          --serial THERM00000000000001 --server https://things.example.com --out flash.bin
    """


@image_group.command("build")
@click.option("--firmware", required=True, type=_PATH, help="MicroPython's whole firmware file: gives the bootloader.")
@click.option("--release", "release_path", required=True, type=_PATH, help="Signed release file: goes into slot 0.")
@click.option("--serial", required=True, help="The board's serial number.")
@click.option("--server", required=True, help="Where it activates: https://HOST[:PORT].")
@click.option("--product", help="Product in the factory record.  [the release's]")
@click.option("--service", default="gadgetkeeper", show_default=True, help="The service that the server speaks.")
@click.option("--plain-http/--no-plain-http", default=False, help="Allow a server without TLS (http://).")
@click.option("--ca", type=_PATH, help="Certificate of the CA to trust for https (PEM); without it the release's is.")
@click.option("--wifi", multiple=True, metavar="SSID[:KEY]", help="A network to join; repeat it. No key: an open one.")
@click.option("--set", "members", multiple=True, metavar="NAME=VALUE", help="A setting of the product; repeat it.")
@click.option(
    "--flash-size",
    type=click.Choice(list(FLASH_SIZES)),
    default="4MiB",
    show_default=True,
    help="Of the board; picks the flash map.",
)
@click.option("--vfs", type=_PATH, default=PROJECT, help="Folder with boot.py and main.py.  [the project's]")
@click.option("--trust", type=_PATH, multiple=True, help="Public key that must have signed the release; repeat it.")
@click.option("--unsigned-ok", is_flag=True, help="Take a release without a signature.")
@click.option("--any-bootloader", is_flag=True, help="Take one that can't roll back: the simulator has its own.")
@click.option("--parts", type=_PATH, help="Also write each part as a file into this folder.")
@click.option("--out", required=True, type=_PATH, help="The flash image.")
def build(
    firmware: Path,
    release_path: Path,
    serial: str,
    server: str,
    product: str | None,
    service: str,
    plain_http: bool,
    ca: Path | None,
    wifi: tuple[str, ...],
    members: tuple[str, ...],
    flash_size: str,
    vfs: Path,
    trust: tuple[Path, ...],
    unsigned_ok: bool,
    any_bootloader: bool,
    parts: Path | None,
    out: Path,
) -> None:
    """Make the flash image of one board, to be written from offset 0, and say how."""
    release = read_release(release_path)
    if not release.signed and not unsigned_ok:
        raise ToolError(f"{release_path} isn't signed; sign it with `thermokeeper release sign` (or --unsigned-ok)")
    if trust:
        moduli = [keys.load_public(path) for path in trust]
        try:
            release_format.verify(release.header, {release_format.key_id(modulus): modulus for modulus in moduli})
        except ReleaseError as error:
            raise ToolError(f"{release_path}: {error}") from None
    product = product or release.manifest.product
    record_members.check_server(server)
    record_members.check_service(service)
    extra = dict(record_members.parse(text) for text in members)
    for line in record_members.check(extra, product):
        click.echo(f"warning: {line}", err=True)
    if plain_http:
        extra["plain_http"] = True
    if ca:
        extra["ca"] = authority.for_record(ca)
    elif server.startswith("https:") and not read_trust(unpack(release.fs)).ca:
        click.echo("warning: neither --ca nor the release names a CA: the board can reach no https server", err=True)
    interpreter = read_firmware(firmware)
    if interpreter.bootloader and not any_bootloader and (warning := builder.check_rollback(interpreter)):
        click.echo(f"warning: {warning}", err=True)
    networks = [nvs.parse_network(text) for text in wifi]
    pieces = builder.pieces(
        interpreter,
        release,
        factory_record.pack(serial, product, server, service, **extra),
        networks,
        builder.read_vfs_files(vfs),
        flash_size,
        product,
    )
    write_bytes(out, builder.assemble(pieces, flash_size))
    click.echo(f"{out}: {flash_size} flash of {serial}, {product} {release.manifest.version} in slot 0")
    if wifi:
        click.echo("it holds Wi-Fi keys in plain text: keep it like a password")
    chip = release.manifest.chip
    click.echo(f"to a board, all of it: esptool --chip {chip} write-flash 0x0 {out}")
    if parts:
        for piece in pieces:
            write_bytes(parts / f"{piece.name}.bin", piece.data)
        files = " ".join(f"{piece.offset:#x} {parts / piece.name}.bin" for piece in pieces)
        click.echo(f"to a board, in parts:  esptool --chip {chip} write-flash {files}")


@image_group.command("inspect")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.argument("file", type=_PATH)
def inspect(as_json: bool, file: Path) -> None:
    """Show what is in a flash image, or in a dump of a board's flash from offset 0."""
    try:
        about = describe(read_bytes(file, "a flash image made by `thermokeeper image build`"))
    except ToolError as error:
        raise ToolError(f"{file}: {error}") from None
    click.echo(json.dumps(about, indent=2) if as_json else _table(about))


def _table(about: dict[str, Any]) -> str:
    boot, factory, vfs = about["bootloader"], about["factory"], about["vfs"]
    lines = [f"flash        {about['flash_size']} bytes"]
    if boot:
        can = {True: "rolls back", False: "can't roll back", None: "rolls back or not: can't be told"}[
            boot["rolls_back"]
        ]
        lines += [f"bootloader   {boot['chip']} at {boot['offset']:#x}, for {boot['flash_size_mib']} MiB, {can}"]
    else:
        lines += ["bootloader   none"]
    for part in about["partitions"]:
        blank = ", blank" if part["blank"] else ""
        lines.append(f"  {part['label']:<10} {part['offset']:#09x} {part['size']:>8} bytes{blank}")
    for number, entry in enumerate(about["otadata"]):
        text = "blank"
        if entry:
            wrong = "" if entry["crc_right"] else ", its CRC is wrong"
            text = f"sequence {entry['sequence']}, {entry['slot']}, {entry['state']}{wrong}"
        lines.append(f"otadata {number}    {text}")
    for label, slot in about["slots"].items():
        text = slot["state"] + (f": {slot['reason']}" if "reason" in slot else "")
        if slot["state"] == "release":
            signed = "signed" if slot["signed"] else "not signed"
            text = f"{slot['product']} {slot['version']}, {signed}, {slot['bytes']} bytes, digest {slot['digest']}"
        lines.append(f"{label:<12} {text}")
    lines.append("factory      " + (factory.get("error") or " ".join(f"{k}={v}" for k, v in factory.items())))
    files = ", ".join(f"{name} ({size} bytes)" for name, size in vfs.get("files", {}).items())
    return "\n".join([*lines, "vfs          " + (vfs.get("error") or files)])


GROUPS = [image_group]
