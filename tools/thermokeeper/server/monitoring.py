"""What Prometheus reads, on a port of its own: the counts of the calls, and how many things run what.

It has neither token nor TLS, so it listens where only the operator's Prometheus can come: on this machine, unless
another address is given. Devices and vendors never get there, and a scrape can't use up what a server is for.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from thermokeeper.errors import ToolError
from thermokeeper.server.rules.census import Count, census
from thermokeeper.server.storage.database import Database

log = logging.getLogger("thermokeeper.server")

SHARED = "PROMETHEUS_MULTIPROC_DIR"  # set where several processes count together
_FRESH_S = 60.0  # a census walks all things: not at each scrape


class Census(Collector):
    """Things by product and version; counted at most once a minute, whoever asks how often."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._counted: tuple[Count, Count] | None = None
        self._at_s = 0.0

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            if self._counted is None or self._clock() - self._at_s >= _FRESH_S:
                self._counted = self._count()
                self._at_s = self._clock()
            counted = self._counted
        names = {
            "thermokeeper_things": "Things, by product and by the version that they run (TEMPLATE/NAME)",
            "thermokeeper_things_behind": "Things that should run this version, and run another or none that is known",
        }
        for (name, help_), counts in zip(names.items(), counted or (), strict=False):
            family = GaugeMetricFamily(name, help_, labels=("product", "version"))
            for labels, count in counts.items():
                family.add_metric(labels, count)
            yield family

    def describe(self) -> Iterator[Metric]:
        return iter(())  # else it would be collected when it is registered

    def _count(self) -> tuple[Count, Count] | None:
        """None while the database doesn't answer: a number that isn't so any more would be worse than none."""
        try:
            with self._database.reading() as session:
                return census(session)
        except SQLAlchemyError as error:
            log.error("the things can't be counted: %s", str(getattr(error, "orig", error)).partition("\n")[0])
            return None


class Monitoring:
    """Listens from now on, in threads of its own, until `close`. ToolError if it can't.

    counted: the registry of the process's own metrics; where processes share theirs, it isn't asked.
    """

    def __init__(self, host: str, port: int, counted: CollectorRegistry, database: Database) -> None:
        registry = counted
        if SHARED in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        self._census = Census(database)
        registry.register(self._census)
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ToolError(
                f"can't listen for metrics on {host} port {port}: {reason}; choose another with --metrics-port"
            ) from None
        address = f"[{host}]" if ":" in host else host
        self.url = f"http://{address}:{self._server.server_port}/metrics"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
