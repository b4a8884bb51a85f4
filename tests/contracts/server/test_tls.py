"""https from the local server: its CA, its certificate, and the vendor's side that believes it and nobody else."""

from __future__ import annotations

import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from cryptography import x509

from thermokeeper.client import commands as client_commands
from thermokeeper.client.calls import VendorClient
from thermokeeper.errors import ToolError
from thermokeeper.release import authority
from thermokeeper.server import commands as server_commands
from thermokeeper.server import tls
from thermokeeper.server.local import LocalServer

GROUPS = [*server_commands.GROUPS, *client_commands.GROUPS]
_BY_NAME = {group.name: group for group in GROUPS}


def certificate_of(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def names_of(path: Path) -> list[str]:
    found = certificate_of(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in found]


def test_a_vendor_with_the_ca_is_served_and_one_without_it_is_not(tmp_path):
    with LocalServer(tmp_path / "data", tls=True) as server:
        assert server.url.startswith("https://127.0.0.1:") and server.ca_path == tmp_path / "data/tls/ca.pem"
        with VendorClient(server.url, server.vendor_token, server.ca_path) as vendor:
            assert vendor.create_template("Thermometer").name == "Thermometer"
        stranger = tls.prepare(tmp_path / "stranger").ca
        for ca in (None, stranger):
            with (
                VendorClient(server.url, server.vendor_token, ca) as vendor,
                pytest.raises(ToolError, match="isn't trusted .*; give its CA with --ca"),
            ):
                list(vendor.templates())
        wrong_name = server.url.replace("127.0.0.1", "127.1")
        with (
            VendorClient(wrong_name, server.vendor_token, server.ca_path) as vendor,
            pytest.raises(ToolError, match="isn't trusted"),
        ):
            list(vendor.templates())
        plain = server.url.replace("https:", "http:")
        with VendorClient(plain, server.vendor_token) as vendor, pytest.raises(ToolError, match="no server at http:"):
            list(vendor.templates())
        by_name = httpx.get(
            server.url.replace("127.0.0.1", "localhost") + "/healthz",
            verify=ssl.create_default_context(cafile=server.ca_path),
        )
        assert by_name.json() == {"status": "ok"}


def test_without_tls_there_is_no_ca(tmp_path):
    server = LocalServer(tmp_path)
    assert server.ca_path is None and not (tmp_path / "tls").exists()


def test_the_ca_is_one_that_devices_may_be_given_and_keys_are_for_their_owner_only(tmp_path):
    files = tls.prepare(tmp_path)
    assert len(authority.read_authority(files.ca)) == 1
    with pytest.raises(ToolError, match="isn't a CA"):
        authority.read_authority(files.certificate)
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700
    for name in ("ca-key.pem", "server-key.pem"):
        assert stat.S_IMODE((tmp_path / "tls" / name).stat().st_mode) == 0o600
    assert len(authority.for_record(files.ca)) < 1000, "it has to fit into a factory record"
    certificate_of(files.certificate).verify_directly_issued_by(certificate_of(files.ca))


def test_a_restart_keeps_the_ca_and_changes_the_certificate_only_where_it_has_to(tmp_path):
    first = tls.prepare(tmp_path)
    ca, certificate = first.ca.read_bytes(), first.certificate.read_bytes()
    assert tls.prepare(tmp_path).certificate.read_bytes() == certificate
    own = socket.gethostname().lower()
    assert (
        {"localhost", "127.0.0.1", "::1"} <= set(names_of(first.certificate)) <= {"localhost", "127.0.0.1", "::1", own}
    )
    second = tls.prepare(tmp_path, "0.0.0.0", ["192.168.1.20", "Things.Example.com"])
    assert {"192.168.1.20", "things.example.com", "localhost"} <= set(names_of(second.certificate))
    assert "0.0.0.0" not in names_of(second.certificate)
    third = second.certificate.read_bytes()
    (tmp_path / "tls/server-key.pem").write_bytes((tmp_path / "tls/ca-key.pem").read_bytes())
    assert tls.prepare(tmp_path).certificate.read_bytes() != third
    (tmp_path / "tls/server.pem").write_text("junk")
    assert {"localhost", "127.0.0.1"} <= set(names_of(tls.prepare(tmp_path).certificate))
    assert first.ca.read_bytes() == ca


def test_a_certificate_that_ends_soon_is_made_again(tmp_path, monkeypatch):
    files = tls.prepare(tmp_path)
    before = files.certificate.read_bytes()

    class Later(datetime):
        @classmethod
        def now(cls, zone=None):
            return datetime.now(zone) + timedelta(days=600)

    monkeypatch.setattr(tls, "datetime", Later)
    assert tls.prepare(tmp_path).certificate.read_bytes() != before
    left = certificate_of(files.certificate).not_valid_after_utc - datetime.now(UTC)
    assert left > timedelta(days=1000)


def test_what_is_wrong_with_the_folder_is_said_and_nothing_is_replaced(tmp_path):
    files = tls.prepare(tmp_path)
    key = tmp_path / "tls/ca-key.pem"
    good = key.read_bytes()
    other = tls.prepare(tmp_path / "other")
    for content, reason in (
        (None, "ca-key.pem is gone; put it back, or remove"),
        (b"junk", "can't be read; remove"),
        (other.key.read_bytes(), "don't belong together"),
    ):
        ca = files.ca.read_bytes()
        key.unlink()
        if content:
            key.write_bytes(content)
        with pytest.raises(ToolError, match=reason) as caught:
            tls.prepare(tmp_path)
        assert "\n" not in str(caught.value) and files.ca.read_bytes() == ca
        key.write_bytes(good)
    for name in ("a b", "", "-" * 300, "things..example", "https://things.example"):
        if name:
            with pytest.raises(ToolError, match="no name of a server"):
                tls.prepare(tmp_path, names=[name])
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolError, match="can't be kept in"):
        tls.prepare(tmp_path / "file")


def test_a_ca_file_that_is_none_is_named(tmp_path):
    (tmp_path / "junk.pem").write_text("junk")
    for path, reason in ((tmp_path / "junk.pem", "isn't the certificate of a CA"), (tmp_path / "no", "can't be read")):
        with pytest.raises(ToolError, match=reason):
            VendorClient("https://127.0.0.1:1", "x" * 16, path)


def test_commands_take_the_ca_from_an_option_the_environment_or_the_default_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with LocalServer(tmp_path / "elsewhere", tls=True) as server:
        (tmp_path / "token").write_text(server.vendor_token)
        given = {"THERMOKEEPER_SERVER": server.url, "THERMOKEEPER_VENDOR_TOKEN_FILE": str(tmp_path / "token")}

        def listed(*words: str, **environment: str) -> str:
            result = CliRunner().invoke(_BY_NAME["template"], ["list", *words], env=given | environment)
            if result.exception is not None:
                raise result.exception
            return result.output

        with pytest.raises(ToolError, match="--ca"):
            listed()
        assert "(none)" in listed("--ca", str(server.ca_path))
        assert "(none)" in listed(THERMOKEEPER_CA=str(server.ca_path))
        folder = tmp_path / "data/thermokeeper/server/tls"
        folder.mkdir(parents=True)
        (folder / "ca.pem").write_bytes(server.ca_path.read_bytes())
        assert "(none)" in listed()


def test_server_run_with_tls_says_where_its_ca_is_and_for_which_names(tmp_path):
    program = Path(sys.executable).with_name("thermokeeper")
    command = [
        program,
        "server",
        "run",
        "--data",
        tmp_path / "data",
        "--port",
        "0",
        "--tls",
        "--name",
        "things.example",
    ]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout
            lines = [process.stdout.readline() for _ in range(3)]
            url = re.match(r"Thermokeeper server at (https://127\.0\.0\.1:\d+) ", lines[0])
            ca = tmp_path / "data/tls/ca.pem"
            assert url, (lines, (tmp_path / "log").read_text())
            assert str(ca) in lines[1] and "things.example" in lines[2]
            context = ssl.create_default_context(cafile=ca)
            assert httpx.get(f"{url[1]}/healthz", verify=context, timeout=30).json() == {"status": "ok"}
            process.send_signal(signal.SIGINT)
            assert process.stdout.read().endswith("stopped\n") and process.wait(20) == 0
        finally:
            process.kill()
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_names_without_tls_are_refused(tmp_path):
    result = CliRunner().invoke(_BY_NAME["server"], ["run", "--data", str(tmp_path), "--name", "things.example"])
    assert isinstance(result.exception, ToolError) and "--tls" in str(result.exception)


def test_a_server_with_tls_stops_at_once_though_a_client_keeps_its_connection(tmp_path):
    with LocalServer(tmp_path, tls=True) as server:
        context = ssl.create_default_context(cafile=server.ca_path)
        with (
            socket.create_connection(("127.0.0.1", server.port)) as raw,
            context.wrap_socket(raw, server_hostname="127.0.0.1") as stream,
        ):
            stream.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert stream.recv(100).startswith(b"HTTP/1.1 200")
            began = datetime.now(UTC)
            server.stop()
            assert datetime.now(UTC) - began < timedelta(seconds=8)
