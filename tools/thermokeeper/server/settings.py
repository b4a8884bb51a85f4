"""What a server is started with, and the token its vendor shows."""

import contextlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from thermokeeper.contract.fields import is_id
from thermokeeper.contract.places import SERVER_ID_FILE
from thermokeeper.contract.tokens import TOKEN_FILE, read_token
from thermokeeper.errors import ToolError
from thermokeeper.server.http.connections import ConnectionLimits
from thermokeeper.server.rules.ratelimit import Rate
from thermokeeper.server.secrets import new_id, new_key


@dataclass(frozen=True)
class Limits:
    """What a request may hold; checked before memory is taken. Above them: 413."""

    device_body_bytes: int = 64 * 1024
    vendor_body_bytes: int = 1024 * 1024
    firmware_bytes: int = 32 * 1024 * 1024
    points_per_call: int = 500
    property_bytes: int = 4096
    serials_per_call: int = 5000
    events_of_a_thing: int = 32  # names
    properties_of_a_thing: int = 64
    failures_of_a_thing: int = 20  # versions whose failure is remembered; the oldest make room
    calls_at_once: int = 400  # ten for each worker thread; above: 503
    connections: ConnectionLimits = ConnectionLimits()


WORKERS_FILE = "workers"  # what the processes of one server tell each other, in the data folder


@dataclass(frozen=True)
class Settings:
    """`database_url` None: SQLite in the data folder. The rates limit activations (and claims).

    `workers`: processes of this server, this one included.
    """

    data_dir: Path
    vendor_token: str = field(repr=False)
    database_url: str | None = field(default=None, repr=False)
    workers: int = 1
    limits: Limits = Limits()
    # a device that resets in a loop succeeds: 50 at once, then one in 12 s; a guesser gets 10, then one a minute
    serial_rate: Rate = Rate(burst=10, every_s=60, success_cost=0.2)
    # many devices behind one address: 2400 activations at once, 120 guesses, then one in 5 s
    client_rate: Rate = Rate(burst=120, every_s=5, success_cost=0.05)
    keep_points_days: int | None = None  # since they arrived; None: for ever. What their hours come to stays
    # of one thing's datapoints: a day of a reading every 8 s at once, then two a second
    points_rate: Rate = Rate(burst=10_000, every_s=0.5)


def vendor_token(data_dir: Path, file: Path | None = None) -> tuple[str, bool]:
    """The token kept in `file` (or in the data folder), made on first use; and whether it was made just now."""
    path = file or data_dir / TOKEN_FILE
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return read_token(path), False
        token = new_key()
        with open(handle, "w", encoding="ascii") as opened:
            opened.write(token + "\n")
    except OSError as error:
        raise ToolError(f"the vendor token can't be kept in {path}: {error.strerror}") from None
    return token, True


def server_id(data_dir: Path) -> str:
    """What tells this data folder from others on the same database, made on first use. OSError."""
    path = data_dir / SERVER_ID_FILE
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=data_dir, prefix=f".{SERVER_ID_FILE}.")
        try:
            with os.fdopen(handle, "w", encoding="ascii") as opened:
                opened.write(new_id() + "\n")
            with contextlib.suppress(FileExistsError):  # another process was faster
                os.link(temporary, path)
        finally:
            os.unlink(temporary)
    found = path.read_text(encoding="ascii", errors="replace").strip()
    if not is_id(found):
        raise ToolError(f"{path} holds no id; remove it, and the server makes another")
    return found
