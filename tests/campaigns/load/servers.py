"""The servers that are loaded, each in a process of its own, with so many devices: ours, gooseBit, and a bare route."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from serving import free_port, serving
from thermokeeper.server.secrets import hashed
from thermokeeper.server.storage.database import Database
from thermokeeper.server.storage.models import Product, Serial, Template, Thing, Version

GOOSEBIT = "goosebit==0.2.12"


@dataclass(frozen=True)
class Served:
    """`poll` and `report`: the request of the device with a number."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    poll: Callable[[int], str]
    report: Callable[[int], str] | None = None

    def polls(self, devices: int) -> list[str]:
        return [self.poll(number) for number in range(devices)]

    def memory_mb(self) -> float:
        """Resident, with its children."""
        total = 0
        for pid in (self.process.pid, *_children(self.process.pid)):
            status = Path(f"/proc/{pid}/status").read_text()
            total += int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
        return total / 1024


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def key(number: int) -> str:
    return f"{number:032x}"


def fill(folder: Path, devices: int, url: str | None = None) -> None:
    """A data folder with activated things, whose template has a version published."""
    database = Database(url, folder)
    with database.writing() as session:
        template = Template(name="load")
        session.add(template)
        session.flush()
        version = Version(id="f" * 32, template=template, name="1.0.0", firmware_size=1, firmware_sha256="0" * 64)
        session.add(version)
        session.flush()
        template.target = version
        product = Product(code="load", name="Load", default_template=template, things_named=devices)
        session.add(product)
        session.flush()
        serials = [Serial(id=key(n), number=f"LOAD{n:08d}", product_id=product.id) for n in range(devices)]
        session.add_all(serials)
        session.flush()
        session.add_all(
            Thing(
                id=key(n), serial_id=key(n), name=f"Load {n}", key_hash=hashed(key(n)),
                current_version_id=version.id, activation_count=1,
            )
            for n in range(devices)
        )  # fmt: skip
    database.close()


def request(method: str, path: str, *headers: str, body: str = "") -> str:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", body])


@contextmanager
def ours(folder: Path, devices: int, *options: str, url: str | None = None) -> Iterator[Served]:
    """url: of a PostgreSQL database that has nothing in it, in place of SQLite."""
    data = folder / (f"ours-{devices}" if url is None else f"ours-shared-{devices}")
    if not data.exists():
        data.mkdir(parents=True)
        fill(data, devices, url)
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "thermokeeper",
        "server",
        "run",
        "--data",
        str(data),
        "--port",
        str(port),
        *(("--database", url) if url else ()),
        *options,
    ]

    def poll(number: int) -> str:
        return request("GET", f"/v1/things/{key(number)}/target-version.json", f"X-ApiKey: {key(number)}")

    def report(number: int) -> str:
        path = f"/v1/things/{key(number)}/events/temperature/datapoints.json"
        return request("POST", path, f"X-ApiKey: {key(number)}", body='[{"value": 21.5}]')

    with serving(command, f"http://127.0.0.1:{port}/healthz", folder / "ours.log") as process:
        yield Served("ours", port, process, poll, report)


@contextmanager
def constant(folder: Path) -> Iterator[Served]:
    """What FastAPI and uvicorn cost by themselves, set up as in our server."""
    port = free_port()
    source = Path(__file__).with_name("constant.py")
    command = [sys.executable, source, str(port)]
    with serving(command, f"http://127.0.0.1:{port}/constant", folder / "constant.log") as process:
        yield Served("constant", port, process, lambda _number: request("GET", "/constant"))


@contextmanager
def goosebit(folder: Path, devices: int, environment: Path) -> Iterator[Served]:
    """gooseBit as its package has it, in a virtual environment of its own, which is made if it isn't there."""
    environment = environment.absolute()
    python = environment / "bin" / "python"
    if not (environment / "bin" / "aerich").exists():
        venv.create(environment, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", GOOSEBIT], check=True)
    home = folder / f"goosebit-{devices}"
    port = free_port()
    settings = {
        "GOOSEBIT_DB_URI": f"sqlite://{home / 'db.sqlite3'}",
        "GOOSEBIT_ARTIFACTS_DIR": str(home),
        "GOOSEBIT_PORT": str(port),
    }
    variables = {**os.environ, **settings}
    if not home.exists():
        home.mkdir(parents=True)
        filler = Path(__file__).with_name("fill_goosebit.py")
        subprocess.run([python, filler, str(devices)], env=variables, cwd=home, check=True, capture_output=True)

    def poll(number: int) -> str:
        return request("GET", f"/DEFAULT/controller/v1/load-{number}")

    command, log = [python, "-m", "goosebit"], folder / "gooseBit.log"
    with serving(command, f"http://127.0.0.1:{port}/login", log, env=variables, cwd=home) as process:
        yield Served("gooseBit", port, process, poll)
