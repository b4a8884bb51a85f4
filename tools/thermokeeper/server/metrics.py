"""What is counted of the calls and the database, for Prometheus. It knows neither HTTP nor tables.

Labels are route templates, methods, codes of refusals and the like, of which there are so many and no more: nothing
that a caller can choose. With `PROMETHEUS_MULTIPROC_DIR` in the environment, before this module is imported, the
processes of one server count together (prometheus_client, "Multiprocess Mode").
"""

from __future__ import annotations

import os

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

disable_created_metrics()  # a second series for each: when it was first counted
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Metrics:
    """Of one server. Whatever counts here takes a few microseconds."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:  # there each would tell of the process that is asked
            ProcessCollector(registry=self.registry)
        self._calls = Counter(
            "thermokeeper_calls", "Calls answered", ("route", "method", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "thermokeeper_call_seconds",
            "From the call's head to the beginning of its answer",
            ("route", "method"),
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self._refusals = Counter(
            "thermokeeper_refusals", "Refusals, by their code", ("status", "code"), registry=self.registry
        )
        self._database_errors = Counter(
            "thermokeeper_database_errors", "Errors of the database, by their class", ("error",), registry=self.registry
        )
        self._downloads = Gauge(
            "thermokeeper_downloads",
            "Firmware that is on its way now",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def answered(self, route: str, method: str, status: int, seconds: float, refused: str) -> None:
        """A call's answer has begun. route: its template; refused: code of the refusal, if it is one."""
        key = route, method, status // 100
        found = self._known.get(key)
        if found is None:  # to look labels up takes longer than to count
            found = self._calls.labels(route, method, f"{status // 100}xx"), self._seconds.labels(route, method)
            self._known[key] = found
        found[0].inc()
        found[1].observe(seconds)
        if refused:
            self._refusals.labels(str(status), refused).inc()

    def download_begins(self) -> None:
        self._downloads.inc()

    def download_ends(self) -> None:
        self._downloads.dec()

    def database_error(self, error: BaseException) -> None:
        self._database_errors.labels(type(error).__name__).inc()
