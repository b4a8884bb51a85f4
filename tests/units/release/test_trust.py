"""What a release makes devices believe: options and what comes of them, read back by MicroPython and by the tools."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import authorities
import releases
from authorities import DAY
from keeper import release
from release_support import CREATED, MOUNT, micropython, tool
from thermokeeper.errors import ToolError
from thermokeeper.release import application, keys, trust
from thermokeeper.release.builder import read_release
from thermokeeper.release.filesystem import unpack


def build(product: Path, out: Path, *more: object) -> str:
    return tool(
        *("release", "build", "--app", product / "firmware.bin", "--lib", product / "lib"),
        *("--product", "thermometer", "--version", "1.0.0", "--created", CREATED, "--out", out),
        *more,
    )


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another private key; its public one is beside it."""
    path = tmp_path_factory.mktemp("other") / "other.pem"
    tool("release", "keygen", "--out", path)
    return path


def public(path: Path) -> Path:
    return path.with_suffix(".pub.pem")


def id_of(path: Path) -> str:
    return release.key_id(keys.load_public(path))


@pytest.mark.parametrize("source", [False, True])
def test_a_device_and_the_tools_read_what_was_asked_for(
    product: Path, tmp_path: Path, other: Path, source: bool
) -> None:
    ca = authorities.certificate("house")
    path = authorities.write(tmp_path / "ca.pem", ca)
    gone = ["00112233445566aa", "ffeeddccbbaa9900"]
    options = ["--trust", product / "key.pub.pem", "--trust", public(other), "--ca", path]
    options += [word for name in gone for word in ("--revoke", name)]
    build(product, tmp_path / "r.tkr", *options, *(["--source"] if source else []))
    found = read_release(tmp_path / "r.tkr")
    moduli = {releases.KEY_ID: releases.MODULUS, id_of(public(other)): keys.load_public(public(other))}
    said = micropython(
        MOUNT + f"import trust; print(trust.KEYS == {moduli!r}, trust.REVOKED, trust.CA == {authorities.der(ca)!r})",
        *(tmp_path / "r.tkr", release.HEADER_SIZE + found.manifest.app.size, len(found.fs)),
    )
    assert said.strip() == f"True {tuple(gone)!r} True"
    assert trust.read_trust(unpack(found.fs)) == trust.Trust(moduli, tuple(gone), authorities.der(ca))
    about = json.loads(tool("release", "inspect", "--json", tmp_path / "r.tkr"))["trust"]
    assert about["keys"] == sorted(moduli) and about["revoked"] == gone and about["ca"].startswith("CN=house until ")
    text = tool("release", "inspect", tmp_path / "r.tkr")
    assert "trusts       " + ", ".join(sorted(moduli)) in text and "revokes      " + ", ".join(gone) in text


def test_several_authorities_are_kept_as_the_device_takes_them(product: Path, tmp_path: Path) -> None:
    both = [authorities.certificate("one"), authorities.certificate("two")]
    path = authorities.write(tmp_path / "ca.pem", *both)
    build(product, tmp_path / "r.tkr", "--trust", product / "key.pub.pem", "--ca", path)
    assert trust.read_trust(unpack(read_release(tmp_path / "r.tkr").fs)).ca == authorities.pem(*both)
    (tmp_path / "ca.der").write_bytes(authorities.der(both[0]))
    build(product, tmp_path / "r.tkr", "--trust", product / "key.pub.pem", "--ca", tmp_path / "ca.der")
    assert trust.read_trust(unpack(read_release(tmp_path / "r.tkr").fs)).ca == authorities.der(both[0])


def test_one_revoked_key_alone_is_a_tuple_too(product: Path, tmp_path: Path, other: Path) -> None:
    build(product, tmp_path / "r.tkr", "--trust", product / "key.pub.pem", "--revoke", public(other), "--source")
    files = unpack(read_release(tmp_path / "r.tkr").fs)
    scope: dict[str, object] = {}
    exec(files["trust.py"], scope)
    assert scope["REVOKED"] == (id_of(public(other)),) and "CA" not in scope


def test_a_key_that_is_trusted_and_revoked_is_left_out_and_told(product: Path, tmp_path: Path, other: Path) -> None:
    options = ("--trust", product / "key.pub.pem", "--trust", public(other), "--revoke", public(other))
    said = build(product, tmp_path / "r.tkr", *options)
    found = trust.read_trust(unpack(read_release(tmp_path / "r.tkr").fs))
    assert list(found.keys) == [releases.KEY_ID] and found.revoked == (id_of(public(other)),)
    assert f"key {id_of(public(other))} is revoked" in said


def test_what_makes_no_sense_is_refused_with_the_reason(product: Path, tmp_path: Path) -> None:
    own = ("--trust", product / "key.pub.pem")

    def written(name: str, **form: object) -> Path:
        return authorities.write(tmp_path / f"{name}.pem", authorities.certificate(name, **form))  # type: ignore[arg-type]

    (tmp_path / "junk.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    good = authorities.certificate("good")
    authorities.write(tmp_path / "half.pem", good, authorities.certificate("old", begins=-9 * DAY, ends=-DAY))
    for more, reason in (
        ((*own, "--revoke", product / "key.pub.pem"), "every trusted key is revoked"),
        ((*own, "--revoke", releases.KEY_ID), "every trusted key is revoked"),
        ((*own, "--revoke", "no such thing"), "neither a public key"),
        ((*own, "--revoke", product / "key.pem"), "is a private key"),
        ((*own, *(w for i in range(17) for w in ("--revoke", f"{i:016x}"))), "a device remembers 16"),
        ((*own, "--ca", tmp_path / "none.pem"), "isn't there"),
        ((*own, "--ca", product / "key.pub.pem"), "isn't a certificate"),
        ((*own, "--ca", product / "boot.py"), "isn't a certificate"),
        ((*own, "--ca", tmp_path / "junk.pem"), "isn't a certificate"),
        ((*own, "--ca", written("leaf", is_ca=False)), "isn't a CA"),
        ((*own, "--ca", written("silent", is_ca=None)), "isn't a CA"),
        ((*own, "--ca", written("unable", may_sign=False)), "isn't a CA"),
        ((*own, "--ca", written("gone", begins=-9 * DAY, ends=-DAY)), "CN=gone expired on"),
        ((*own, "--ca", tmp_path / "half.pem"), "CN=old expired on"),
        ((*own, "--ca", written("early", begins=DAY)), "only valid from"),
        ((*own, "--ca", written("edwards", curve=False)), "can't check"),
    ):
        with pytest.raises(ToolError, match=reason) as caught:
            build(product, tmp_path / "out.tkr", *more)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.tkr").exists()
    build(product, tmp_path / "out.tkr", *own, "--ca", written("able", may_sign=True))


def test_signing_tells_of_a_key_that_the_release_itself_does_not_trust(
    product: Path, tmp_path: Path, other: Path
) -> None:
    path = tmp_path / "r.tkr"
    shutil.copy(product / "unsigned.tkr", path)
    assert "note" not in tool("release", "sign", "--key", product / "key.pem", path)
    said = tool("release", "sign", "--key", other, path)
    assert f"doesn't trust key {id_of(public(other))}" in said
    assert "good" in tool("release", "inspect", "--trust", public(other), path)


def test_a_module_that_is_not_ours_says_nothing_and_is_not_run() -> None:
    compiled = application.trust_module([releases.MODULUS], False, ["00112233445566aa"], b"0" * 300)["trust.mpy"]
    whole = trust.read_trust({"trust.mpy": compiled})
    assert list(whole.keys) == [releases.KEY_ID] and whole.revoked and whole.ca == b"0" * 300
    for size in range(len(compiled)):
        cut = trust.read_trust({"trust.mpy": compiled[:size]})
        assert set(cut.keys) <= set(whole.keys)
    nothing = trust.Trust({})
    for content in (b"", b"M\x05" + compiled[2:], b"M\x06\0\x1f" + b"\xff" * 100, b"\0" * 100):
        assert trust.read_trust({"trust.mpy": content}) == nothing
    for text in (b"KEYS = open('x', 'w')", b"KEYS = 3", b"KEYS = {", b"\xff\0", b"REVOKED = 1"):
        assert trust.read_trust({"trust.py": text}) == nothing
    assert trust.read_trust({}) == nothing
