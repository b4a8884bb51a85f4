"""What goes into a release is refused if a board would refuse it, be it in the field only."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from keeper import release
from thermokeeper.errors import ToolError
from thermokeeper.files import PROJECT
from thermokeeper.release import authority
from thermokeeper.release.application import application_files, merged_files
from thermokeeper.release.builder import build


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"M\5\2\x1f\x20\0\0", "version 5"), (b"M\6\x2b\x1f\x20\0\0", "native code"), (b"hello", "no compiled module")],
)
def test_a_module_that_was_compiled_elsewhere_is_refused_by_its_name(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    shutil.copytree(PROJECT / "lib", tmp_path / "lib")
    (tmp_path / "lib/thermometer/vendor.mpy").write_bytes(content)
    for gather in (application_files, merged_files):
        with pytest.raises(ToolError, match=f"vendor.mpy .*{reason}"):
            gather(tmp_path / "lib")


def certificate(
    number: int = 0, curve: ec.EllipticCurve | None = None, *more: tuple[x509.ExtensionType, bool]
) -> bytes:
    """A CA's, PEM."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"CA {number} " + "x" * 50)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(number + 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=100))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    for extension, critical in more:
        made = made.add_extension(extension, critical)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_certificates_that_mbedtls_can_t_use_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    names = x509.NameConstraints([x509.DNSName("example.com")], None)
    for content, reason in (
        (certificate(0, None, (names, True)), "critical extension nameConstraints"),
        (certificate(0, None, (x509.InhibitAnyPolicy(0), True)), "critical extension inhibitAnyPolicy"),
        (certificate(0, ec.SECP192R1()), "curve secp192r1"),
    ):
        path.write_bytes(content)
        with pytest.raises(ToolError, match=reason):
            authority.for_trust(path)
    path.write_bytes(certificate(0, None, (names, False)))
    assert authority.for_trust(path)


def test_more_certificates_than_a_board_has_memory_for_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(b"".join(certificate(number) for number in range(30)))
    for read in (authority.for_trust, authority.for_record):
        with pytest.raises(ToolError, match="30 certificates .* a board has memory for 8192"):
            read(path)
    path.write_bytes(b"".join(certificate(number) for number in range(5)))
    assert authority.for_trust(path)


def test_the_manifest_names_the_keys_that_the_release_trusts() -> None:
    from images import application

    options = {"product": "p", "version": "1", "chip": "esp32", "security": 1, "created": "2026-11-21T20:13:18Z"}
    for keys in (("b" * 16, "a" * 16), ()):
        data = build(application(4500), b"fs.." * 1024, trust=keys, **options)  # type: ignore[arg-type]
        assert release.parse(data[:4096]).version == "1", "a board that doesn't know the member reads it all the same"
        assert (b'"trust"' in data[:4096]) is bool(keys)


def test_a_chip_without_a_pin_of_its_own_is_warned_of() -> None:
    from thermokeeper.release.commands import CHIPS_WITH_A_PIN

    pins = (PROJECT / "lib/thermometer/wiring/pins.py").read_text()
    assert all(f'("{chip.upper()}", ' in pins for chip in CHIPS_WITH_A_PIN)


def test_a_simulated_board_lives_in_a_copy_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    from thermokeeper.simulator.commands import _copy_of, _own

    flash = tmp_path / "flash.bin"
    flash.write_bytes(b"content")
    with _copy_of(flash) as copy:
        assert copy != flash and copy.read_bytes() == b"content"
    assert not copy.exists()
    with _own(flash) as own:
        assert own == flash
        with pytest.raises(ToolError, match="another simulated board runs in it"), _own(flash):
            pass
    with pytest.raises(ToolError, match="can't be changed in place"), _own(tmp_path / "none.bin"):
        pass
