"""The server run by uvicorn: in the foreground for the command, in a thread for demos and tests."""

import asyncio
import contextlib
import functools
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from thermokeeper.contract.tokens import check_token
from thermokeeper.errors import ToolError
from thermokeeper.server.app import create_app
from thermokeeper.server.http.connections import BACKLOG, Gate, room_for
from thermokeeper.server.http.context import Context
from thermokeeper.server.settings import WORKERS_FILE, Settings, vendor_token
from thermokeeper.server.storage.database import Database, alone
from thermokeeper.server.tls import TlsFiles, prepare

SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"  # of prometheus_client
_TICK_S = 0.1  # as uvicorn has it
_START_LIMIT_S = 30
_STOP_LIMIT_S = 5
_WORKER_ANSWERS_S = 60  # to be taken for alive: one that begins on a busy machine takes its time


def listen(host: str, port: int) -> socket.socket:
    """A listening socket (port 0: a free one), so that the address is known before the server starts."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # asyncio turns Nagle's algorithm off only where the protocol is named; with it each answer takes 40 ms more
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the same port again after a restart
            listening.bind(address)
            listening.listen(BACKLOG)
        except OSError:
            listening.close()
            raise
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ToolError(f"can't listen on {host} port {port}: {reason}; choose another with --port") from None
    return listening


def url_of(listening: socket.socket, tls: bool = False) -> str:
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def configuration(settings: Settings, *, proxy: str | None = None, tls: TlsFiles | None = None) -> uvicorn.Config:
    """uvicorn's; `proxy`: the address of a reverse proxy whose word on the client's address is taken.

    What becomes of the lines of the log is for the process to say (`logs.configure`), not for its server.
    """
    limits = settings.limits.connections
    gate = Gate(replace(limits, connections=room_for(limits.connections)))
    several = settings.workers > 1
    return uvicorn.Config(
        _worker if several else create_app(settings),  # `serve` says with what
        factory=several,
        workers=settings.workers,
        http=gate,  # type: ignore[arg-type]  # called as a class would be
        backlog=BACKLOG,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
        ws="none",
        log_config=None,
        access_log=False,  # each call has its line by `http.observed`
        proxy_headers=proxy is not None,
        forwarded_allow_ips=proxy or "",
        timeout_graceful_shutdown=_STOP_LIMIT_S,
        timeout_worker_healthcheck=_WORKER_ANSWERS_S,
        timeout_keep_alive=30,
        server_header=False,
    )


def serve(config: uvicorn.Config, settings: Settings, listening: socket.socket, log: Callable[[], None]) -> None:
    """In the foreground, until a signal ends it; in so many processes as the settings say.

    uvicorn starts a process anew that has died. log: sets up the log of a process.
    """
    if settings.workers == 1:
        uvicorn.Server(config).run([listening])
        return
    (settings.data_dir / WORKERS_FILE).unlink(missing_ok=True)
    Database(settings.database_url, settings.data_dir).close()  # whatever is wrong with it is said here, and once
    config.app = functools.partial(_worker, settings, log)
    Multiprocess(config, [listening]).run()


def _worker(settings: Settings, log: Callable[[], None]) -> FastAPI:
    log()
    return create_app(settings)


@contextlib.contextmanager
def workers_count_together() -> Iterator[None]:
    """The metrics of the processes that are started meanwhile are kept in files that one of them can add up."""
    with tempfile.TemporaryDirectory(prefix="thermokeeper-metrics-") as folder:
        os.environ[SHARED_METRICS] = folder
        try:
            yield
        finally:
            del os.environ[SHARED_METRICS]


class _AnnouncedServer(uvicorn.Server):
    """Says when it accepts connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._leaving = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def leave(self) -> None:
        """End at once, and not at the next tick."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._leaving.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), _TICK_S)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class LocalServer:
    """A server in a thread of this process: `with LocalServer(folder) as server: server.url`.

    It can be started and stopped again; it keeps its port. `settings` replaces the defaults (data folder, database
    and token given here win). `tls`: https, with a CA of its own in `ca_path`.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        database_url: str | None = None,
        token: str | None = None,
        settings: Settings | None = None,
        tls: bool = False,
    ) -> None:
        self.vendor_token = check_token(token, "LocalServer") if token else vendor_token(data_dir)[0]
        base = settings or Settings(data_dir, self.vendor_token)
        self.settings = replace(
            base,
            data_dir=data_dir,
            vendor_token=self.vendor_token,
            database_url=database_url or base.database_url,
        )
        self.host = host
        self.port = port
        self.url = ""
        self._tls = prepare(data_dir, host) if tls else None
        self.ca_path = self._tls.ca if self._tls else None
        self._server: _AnnouncedServer | None = None
        self._context: Context | None = None
        self._thread: threading.Thread | None = None
        self._held = contextlib.ExitStack()

    def start(self) -> None:
        if self._thread is not None:
            raise RuntimeError("the server runs already")
        with contextlib.ExitStack() as held:
            held.enter_context(alone(self.settings.database_url, self.settings.data_dir))
            self._start()
            self._held = held.pop_all()

    def _start(self) -> None:
        listening = listen(self.host, self.port)
        try:
            config = configuration(self.settings, tls=self._tls)
        except ToolError:
            listening.close()
            raise
        self.port = listening.getsockname()[1]
        self.url = url_of(listening, self._tls is not None)
        server = self._server = _AnnouncedServer(config)
        self._context = config.app.state.context  # type: ignore[union-attr]
        self._thread = threading.Thread(target=server.run, args=([listening],), name="server", daemon=True)
        self._thread.start()
        if not server.ready.wait(_START_LIMIT_S):
            raise ToolError("the local server did not start")

    @property
    def context(self) -> Context:
        """What its calls work with; it must have been started."""
        assert self._context is not None
        return self._context

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        if self._thread is None or self._server is None:
            return
        self._server.leave()
        self._thread.join(2 * _STOP_LIMIT_S)
        if self._thread.is_alive():
            raise ToolError("the local server did not stop")
        self._thread = self._server = None
        self._held.close()

    def __enter__(self) -> "LocalServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
