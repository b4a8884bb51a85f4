"""`thermokeeper release`: keygen, build, sign, inspect, trace."""

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import click

from keeper import release
from keeper.errors import ReleaseError
from thermokeeper.errors import ToolError
from thermokeeper.files import PROJECT, read_bytes, write_bytes
from thermokeeper.formats.partitions import FLASH_SIZES, available_tables, table_for
from thermokeeper.groups import Group
from thermokeeper.release import authority, builder, costs, keys
from thermokeeper.release import known as known_releases
from thermokeeper.release import trust as trusting
from thermokeeper.release.application import application_files, merged_files, trust_module
from thermokeeper.release.filesystem import pack_smallest, unpack
from thermokeeper.release.firmware import interpreter_of, interpreter_version, read_firmware
from thermokeeper.release.tracing import SourceMap
from thermokeeper.release.weighing import weigh

PASSPHRASE_VARIABLE = "THERMOKEEPER_PASSPHRASE"
OLDEST_INTERPRETER = (1, 25)
FULL = 0.9  # of a slot
_PATH = click.Path(path_type=Path)
# those that lib/thermometer/wiring/pins.py names
CHIPS_WITH_A_PIN = ("esp32", "esp32s2", "esp32s3", "esp32c2", "esp32c3", "esp32c6")
_LIB_HELP = "Folder with the application's packages; boot.py and main.py beside it come along.  [lib/]"


@click.group("release", cls=Group)
def release_group() -> None:
    """Build, sign and inspect release files.

    A release is one file with everything that runs on a device: MicroPython and our Python code. In order:

    \b
      thermokeeper release keygen --out key.pem
      thermokeeper release build --app ESP32_GENERIC.bin --product thermometer \\
          --version 1.0.0 --trust key.pub.pem --out thermometer-1.0.0.tkr
      thermokeeper release sign --key key.pem thermometer-1.0.0.tkr
      thermokeeper release inspect --trust key.pub.pem thermometer-1.0.0.tkr
    """


@release_group.command("keygen")
@click.option("--out", required=True, type=_PATH, help="The private key; the public one goes beside it (*.pub.pem).")
@click.option("--passphrase", "protect", is_flag=True, help=f"Protect it: asks, or takes ${PASSPHRASE_VARIABLE}.")
def keygen(out: Path, protect: bool) -> None:
    """Make the key that signs releases (RSA-3072). Keep it out of the repository, and a copy in a safe."""
    passphrase = os.environ.get(PASSPHRASE_VARIABLE) if protect else None
    if protect and not passphrase:
        passphrase = click.prompt("Passphrase", hide_input=True, confirmation_prompt=True)
    public = keys.generate(out, passphrase)
    click.echo(f"private key: {out}\npublic key:  {public}\nkey id:      {release.key_id(keys.load_public(public))}")


@release_group.command("build")
@click.option("--app", required=True, type=_PATH, help="MicroPython firmware: the whole .bin or an .app-bin.")
@click.option("--lib", type=_PATH, default=PROJECT / "lib", help=_LIB_HELP)
@click.option("--product", required=True, help="What it is for; other products refuse it.")
@click.option("--version", required=True, help="For people, like 1.0.0.")
@click.option("--security", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Security version.")
@click.option("--chip", help="Refuse the firmware if it is for another chip.")
@click.option("--trust", type=_PATH, multiple=True, help="Public key that may sign the release after this; repeat it.")
@click.option("--revoke", multiple=True, metavar="KEY", help="Key (file or id) never to be believed again; repeat it.")
@click.option("--ca", type=_PATH, help="Certificate of the CA that devices trust for https (PEM).")
@click.option("--no-trust", is_flag=True, help="Build even though nothing can ever replace this release.")
@click.option("--source", is_flag=True, help="Put .py files in, as they are: neither compiled nor merged.")
@click.option("--no-merge", is_flag=True, help="Compile each module by itself: for debugging; takes more memory.")
@click.option("--compress", is_flag=True, help="Store parts compressed: a third less to download.")
@click.option("--created", help="UTC time like 2026-11-21T20:13:18Z.  [$SOURCE_DATE_EPOCH, or now]")
@click.option("--expires", help="UTC time after which devices shouldn't start to install it.")
@click.option(
    "--known", type=_PATH, multiple=True, help="Earlier release, or folder of them: what does it cost from there?"
)
@click.option(
    "--flash-size",
    type=click.Choice(list(FLASH_SIZES)),
    default="4MiB",
    show_default=True,
    help="Smallest flash of the boards that it is for.",
)
@click.option("--out", required=True, type=_PATH, help="The release file; its map goes beside it.")
def build(
    app: Path,
    lib: Path,
    product: str,
    version: str,
    security: int,
    chip: str | None,
    trust: tuple[Path, ...],
    revoke: tuple[str, ...],
    ca: Path | None,
    no_trust: bool,
    source: bool,
    no_merge: bool,
    compress: bool,
    created: str | None,
    expires: str | None,
    known: tuple[Path, ...],
    flash_size: str,
    out: Path,
) -> None:
    """Make an unsigned release file. The same input and --created give the same bytes.

    The modules of each folder of lib/ are merged into one (docs/merging.md). Beside the release comes its map, OUT.map,
    with which `release trace` leads from a board's traceback to the source; keep it.

    Keys are changed by two updates: a release that trusts the old and the new one, then, signed with the new one,
    a release that revokes the old one.
    """
    if not trust and not no_trust:
        raise ToolError("a release that trusts no key can never be updated; give --trust KEY.pub.pem (or --no-trust)")
    firmware = read_firmware(app)
    if chip and chip != firmware.chip:
        raise ToolError(f"{app} is for the {firmware.chip}, not for the {chip}")
    interpreter = interpreter_version(firmware.application)
    if interpreter and interpreter < OLDEST_INTERPRETER:
        wanted = ".".join(map(str, OLDEST_INTERPRETER))
        click.echo(f"warning: {app.name} is {firmware.interpreter}; a real board needs {wanted} or later", err=True)
    if firmware.chip not in CHIPS_WITH_A_PIN:
        line = (
            f"the thermometer has no pin of its own for the {firmware.chip}: its sensor would be looked for on GPIO 4"
        )
        click.echo(f"warning: {line}; set one in lib/thermometer/wiring/pins.py", err=True)
    chosen, told = trusting.chosen(trust, revoke, authority.for_trust(ca) if ca else None)
    for line in told:
        click.echo(f"warning: {line}", err=True)
    earlier = known_releases.read_known(known, but=out)
    source_map = SourceMap()
    if source or no_merge:
        files = application_files(lib, source)
    else:
        files, source_map = merged_files(lib)
    files |= trust_module(list(chosen.keys.values()), source, chosen.revoked, chosen.ca)
    data = builder.build(
        firmware.application,
        pack_smallest(files),
        product=product,
        version=version,
        chip=firmware.chip,
        security=security,
        created=created or default_time(),
        expires=expires,
        compressed=compress,
        trust=chosen.keys,
    )
    write_bytes(out, data)
    _write_map(map_path(out), source_map)
    click.echo(f"{out}: {product} {version} for {firmware.chip}, {len(data)} bytes, {len(files)} files, not signed")
    manifest = release.parse(data[: release.HEADER_SIZE])
    told, warned = _memory(files)
    if not any(name.startswith("board/") for name in files):
        told.append(f"note: no boot.py and main.py beside {lib}: boards keep those that they have")
    for line in [*told, costs.download_line(manifest)]:
        click.echo(line)
    for line in [*warned, *_room(len(firmware.application), manifest.slot_size, flash_size)]:
        click.echo(f"warning: {line}", err=True)
    if known:
        _show_updates(earlier, data)


@release_group.command("sign")
@click.option("--key", "key_path", required=True, type=_PATH, help="Private key made by `release keygen`.")
@click.argument("file", type=_PATH)
def sign(key_path: Path, file: Path) -> None:
    """Sign a release file, in place of any other signature it has."""
    key = keys.load_private(key_path, _ask_passphrase)
    before = builder.read_release(file)
    data = before.data
    signed = builder.sign(data, key)
    if signed != data:
        write_bytes(file, signed)
    manifest = release.parse(signed[: release.HEADER_SIZE])
    done = "signed" if signed != data else "signed already, left as it is"
    click.echo(f"{file}: {before.manifest.product} {before.manifest.version} {done}, with key {manifest.key}")
    click.echo(f"release digest: {manifest.digest}")
    if manifest.key not in trusting.read_trust(unpack(before.fs)).keys:
        click.echo(
            f"note: the release itself doesn't trust key {manifest.key}: a device that runs it takes no later release "
            "of that key. That is right when keys are changed, and only then",
            err=True,
        )


@release_group.command("inspect")
@click.option("--trust", type=_PATH, multiple=True, help="Public key to check the signature with; repeat it.")
@click.option(
    "--known", type=_PATH, multiple=True, help="Earlier release, or folder of them: what does it cost from there?"
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.argument("file", type=_PATH)
def inspect(trust: tuple[Path, ...], known: tuple[Path, ...], as_json: bool, file: Path) -> None:
    """Check a release file and show what is in it. With --trust: status 1 if no such key signed it."""
    found = builder.read_release(file)
    moduli = [keys.load_public(path) for path in trust]
    about = describe(found, {release.key_id(modulus): modulus for modulus in moduli} if trust else None)
    earlier = known_releases.read_known(known, but=file)
    if known and as_json:
        about["updates"] = [
            {
                "file": str(update.path),
                "version": update.version,
                "digest": update.digest,
                "download_bytes": update.download_bytes,
                "fetched": list(update.fetched),
                "refusal": update.refusal,
            }
            for update in known_releases.updates(earlier, found.data)
        ]
    click.echo(json.dumps(about, indent=2) if as_json else _table(about))
    if known and not as_json:
        _show_updates(earlier, found.data)
    if trust and about["signature"]["state"] != "good":
        raise ToolError(f"{file}: {about['signature']['text']}")


@release_group.command("trace")
@click.argument("map_file", metavar="RELEASE.map", type=_PATH)
@click.argument("traceback", type=click.File(), default="-")
def trace(map_file: Path, traceback: TextIO) -> None:
    """Show a board's traceback with the files, lines and names that were written.

    TRACEBACK is a file with what the console said, or - for standard input; lines that are none stay as they are.
    """
    found = SourceMap.from_json(read_bytes(map_file, "the map that `release build` wrote beside a release").decode())
    click.echo(found.translate(traceback.read()), nl=False)


def map_path(release_file: Path) -> Path:
    """Where the map of a release file is."""
    return release_file.with_name(release_file.name + ".map")


def _write_map(path: Path, source_map: SourceMap) -> None:
    if source_map.modules:
        write_bytes(path, source_map.to_json().encode())
    else:
        path.unlink(missing_ok=True)  # of a release that was there before


def describe(found: builder.ReleaseFile, trusted: dict[str, bytes] | None) -> dict[str, Any]:
    """What `inspect --json` says. `trusted` None: the signature isn't checked."""
    manifest = found.manifest
    state, text = "unchecked", f"there, by key {manifest.key}; not checked (give --trust)"
    if not found.signed:
        state, text = "none", "not signed"
    elif trusted is not None:
        try:
            release.verify(found.header, trusted)
            state, text = "good", f"good, by key {manifest.key}"
        except ReleaseError as error:
            state, text = "bad", str(error)
    files = unpack(found.fs)
    brought = trusting.read_trust(files)
    return {
        "digest": manifest.digest,
        "manifest": found.fields,
        "trust": {
            "keys": sorted(brought.keys),
            "revoked": list(brought.revoked),
            "ca": authority.describe(brought.ca) if brought.ca else None,
        },
        "signature": {"state": state, "text": text},
        "interpreter": interpreter_of(found.app),
        "secure_boot": builder.is_signed_app(found.app),
        "file_size": manifest.file_size,
        "slot_size": manifest.slot_size,
        "header_offset": manifest.header_offset,
        "fs_offset": manifest.fs_offset,
        "fits": {name: manifest.slot_size <= table.slot_size for name, table in available_tables().items()},
        "slots": {name: table.slot_size for name, table in available_tables().items()},
        "files": {name: len(content) for name, content in files.items()},
    }


def _room(application: int, whole: int, flash_size: str) -> list[str]:
    """What is to be said of the slot's size: the next MicroPython is larger, and no update can move a partition."""
    slot = table_for(flash_size).slot_size
    told = []
    if application > slot * FULL:
        told.append(
            f"the application takes {application} of the {slot} bytes of a slot on {flash_size} flash, "
            f"{application / slot:.1%}: over {FULL:.0%}, and the next MicroPython may not fit (docs/firmware.md)"
        )
    if whole > slot:
        told.append(
            f"the release needs a slot of {whole} bytes, on {flash_size} flash there are {slot}: it doesn't fit"
        )
    return told


def default_time() -> str:
    """$SOURCE_DATE_EPOCH, or now, as manifests write it."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch is not None and not re.fullmatch("[0-9]{1,11}", epoch):
        raise ToolError("SOURCE_DATE_EPOCH isn't a number of seconds; correct or unset it")
    when = datetime.fromtimestamp(int(epoch), UTC) if epoch is not None else datetime.now(UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _memory(files: dict[str, bytes]) -> tuple[list[str], list[str]]:
    """`costs.memory_lines` of a release's files; where they can't be weighed, that is what to warn of."""
    try:
        return costs.memory_lines(weigh(files))
    except ToolError as error:
        return [], [str(error)]


def _show_updates(earlier: list[builder.ReleaseFile], data: bytes) -> None:
    click.echo("\n".join(known_releases.table(known_releases.updates(earlier, data), len(data))))


def _ask_passphrase() -> str:
    return os.environ.get(PASSPHRASE_VARIABLE) or click.prompt("Passphrase", hide_input=True)


def _table(about: dict[str, Any]) -> str:
    fields = about["manifest"]
    rows = [(name, str(value)) for name, value in fields.items() if name not in ("parts", "key", "format")]
    rows += [("signature", about["signature"]["text"]), ("digest", about["digest"])]
    brought = about["trust"]
    rows += [("trusts", ", ".join(brought["keys"]) or "no key: nothing can ever replace it")]
    rows += [("revokes", ", ".join(brought["revoked"]))] if brought["revoked"] else []
    rows += [("CA for https", brought["ca"])] if brought["ca"] else []
    rows += [("MicroPython", about["interpreter"] or "doesn't say its version")]
    rows += [("Secure Boot", "version 2: signature behind the application")] if about["secure_boot"] else []
    for part in fields["parts"]:
        stored = f", {part['stored']} in the file" if "stored" in part else ""
        rows.append((part["name"], f"{part['size']} bytes{stored}, SHA-256 {part['sha256']}"))
    rows += [("file", f"{about['file_size']} bytes"), ("needs", f"a slot of {about['slot_size']} bytes")]
    for name, size in about["slots"].items():
        verdict = f"{size - about['slot_size']} bytes left" if about["fits"][name] else "too small"
        rows.append((f"on {name}", f"slot of {size} bytes: {verdict}"))
    lines = [f"{name:<12} {value}" for name, value in rows] + ["files in fs:"]
    return "\n".join(lines + [f"  {size:>7}  {name}" for name, size in about["files"].items()])


GROUPS = [release_group]
