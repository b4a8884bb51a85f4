"""What Prometheus reads: counts of calls by route, refusals, errors, and what the fleet runs; never a serial number."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from contracts.server.test_fleet import watched as watching
from thermokeeper.errors import ToolError
from thermokeeper.server.local import LocalServer
from thermokeeper.server.monitoring import Census, Monitoring
from thermokeeper.server.storage.database import DATABASE_FILE, Database


class Watched:
    """A server, and what its metrics say."""

    def __init__(self, server: LocalServer, shop, monitoring: Monitoring) -> None:
        self.server, self.shop, self._monitoring = server, shop, monitoring

    def text(self) -> str:
        answer = httpx.get(self._monitoring.url)
        assert answer.status_code == 200
        return answer.text

    def value(self, name: str, **labels: str) -> float:
        """0 if it was never counted."""
        for family in text_string_to_metric_families(self.text()):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return 0


@pytest.fixture
def watched(tmp_path, make_shop) -> Iterator[Watched]:
    server = LocalServer(tmp_path)
    with server, httpx.Client(base_url=server.url, timeout=20) as http:
        context = server.context
        monitoring = Monitoring("127.0.0.1", 0, context.metrics.registry, context.database)
        try:
            yield Watched(server, make_shop(server, http), monitoring)
        finally:
            monitoring.close()


def test_calls_are_counted_by_route_method_and_status_and_timed(watched):
    shop = watched.shop
    version = shop.version("1", b"firmware", publish=True)
    device = shop.device()
    for _ in range(3):
        assert device.call("GET", "/target-version.json").status_code == 200
    device.call("PUT", "/version.json", {"id": version.id})
    shop.http.get("/such/a/path")
    shop.http.request("PROPFIND", "/such/a/path")
    target = "/v1/things/{thing_id}/target-version.json"
    assert watched.value("thermokeeper_calls_total", route=target, method="GET", status="2xx") == 3
    assert watched.value("thermokeeper_call_seconds_count", route=target, method="GET") == 3
    assert watched.value("thermokeeper_call_seconds_bucket", route=target, method="GET", le="+Inf") == 3
    assert watched.value("thermokeeper_call_seconds_sum", route=target, method="GET") > 0
    put = "/v1/things/{thing_id}/version.json"
    assert watched.value("thermokeeper_calls_total", route=put, method="PUT", status="2xx") == 1
    assert watched.value("thermokeeper_calls_total", route="none", method="GET", status="4xx") == 1
    assert watched.value("thermokeeper_calls_total", route="none", method="other", status="4xx") == 1


def test_each_route_is_named_as_the_page_at_docs_names_it(watched):
    """Else a caller could make labels without an end."""
    http = watched.shop.http
    paths = http.get("/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for method in methods:
            http.request(method, re.sub(r"{\w+}", "x", path))
    found = set(re.findall(r'route="([^"]+)"', watched.text()))
    assert found >= set(paths) and found - set(paths) <= {"none", "/openapi.json", "/docs/assets"}


def test_refusals_are_counted_by_code_and_errors_of_the_database_by_kind(watched):
    shop, device = watched.shop, watched.shop.device()
    device.call("PUT", "/version.json", {"id": "0" * 32})
    device.call("PUT", "/version.json", {})
    httpx.get(f"{watched.server.url}/v1/vendor/templates.json")
    assert watched.value("thermokeeper_refusals_total", status="404", code="not_found") == 1
    assert watched.value("thermokeeper_refusals_total", status="400", code="bad_request") == 1
    assert watched.value("thermokeeper_refusals_total", status="401", code="unauthorized") == 1
    connection = sqlite3.connect(watched.server.settings.data_dir / DATABASE_FILE)
    connection.execute("DROP TABLE property_values")
    connection.close()
    assert device.call("PUT", "/properties/a/value.json", {"value": 1}).status_code == 503
    assert watched.value("thermokeeper_refusals_total", status="503", code="unavailable") == 1
    assert watched.value("thermokeeper_database_errors_total", error="OperationalError") == 1
    assert shop.http.get("/healthz").status_code == 200


def test_things_are_counted_by_product_and_version_and_those_that_are_behind(watched):
    shop = watched.shop
    first, second = shop.version("1", b"one", publish=True), shop.version("2", b"two")
    devices = [shop.device() for _ in range(3)]
    for device in devices[:2]:
        device.call("PUT", "/version.json", {"id": first.id})
    shop.vendor.publish(second.id)
    shop.serial()  # no thing yet
    own = shop.device(target_version=first.id)
    own.call("PUT", "/version.json", {"id": first.id})
    name = f"Template {shop.tag}"
    assert watched.value("thermokeeper_things", product=shop.tag, version=f"{name}/1") == 3
    assert watched.value("thermokeeper_things", product=shop.tag, version="") == 1
    assert watched.value("thermokeeper_things_behind", product=shop.tag, version=f"{name}/2") == 3
    assert watched.value("thermokeeper_things_behind", product=shop.tag, version=f"{name}/1") == 0


def test_things_are_counted_once_a_minute_at_most_with_one_query_for_all_of_them(tmp_path):
    database = Database(None, tmp_path)
    clock = [0.0]
    census = Census(database, lambda: clock[0])
    with watching() as queries:
        for clock[0] in (0.0, 30.0, 59.0):
            list(census.collect())
    assert sum("JOIN things" in statement for statement in queries.seen) == 1
    once = queries.count
    assert once == 5, "and four of a few rows each, with the transaction's"
    with watching() as queries:
        clock[0] = 60.0
        list(census.collect())
    assert queries.count == once
    database.close()


def test_a_firmware_on_its_way_is_counted_as_long_as_it_is(watched):
    shop = watched.shop
    version = shop.version("1", bytes(8_000_000), publish=True)
    device = shop.device()
    path = f"{watched.server.url}/v1/versions/{version.id}/firmware.bin"
    with httpx.stream("GET", path, headers={"X-ApiKey": device.key}) as download:
        assert download.status_code == 200
        assert watched.value("thermokeeper_downloads") == 1
        download.read()
    assert shop.http.get("/healthz").is_success
    assert watched.value("thermokeeper_downloads") == 0


def test_no_serial_number_key_or_id_is_a_label(watched):
    device = watched.shop.device()
    device.call("GET", "/target-version.json")
    device.post_points([{"value": 21.5}])
    watched.shop.http.get(f"/v1/vendor/serials/{device.number}.json")
    text = watched.text()
    for secret in (device.number, device.key, device.thing, watched.server.vendor_token):
        assert secret not in text


def test_metrics_are_not_among_the_server_s_own_calls(watched):
    assert watched.shop.http.get("/metrics").status_code == 404


def test_a_port_for_metrics_that_is_taken_is_one_line(watched):
    context = watched.server.context
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ToolError, match="--metrics-port"):
        Monitoring(
            "127.0.0.1", taken.getsockname()[1], context.metrics.registry, Database(None, context.settings.data_dir)
        )


_WORKER = """
from thermokeeper.server.metrics import Metrics
metrics = Metrics()
metrics.answered("/healthz", "GET", 200, 0.002, "")
metrics.answered("/healthz", "GET", 503, 0.002, "busy")
"""
_ASKED = """
import sys, urllib.request
from pathlib import Path
from thermokeeper.server.metrics import Metrics
from thermokeeper.server.monitoring import Monitoring
from thermokeeper.server.storage.database import Database
with_all = Monitoring("127.0.0.1", 0, Metrics().registry, Database(None, Path(sys.argv[1])))
print(urllib.request.urlopen(with_all.url).read().decode())
"""


def test_several_processes_of_one_server_count_together(tmp_path):
    (shared := tmp_path / "shared").mkdir()
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(shared)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", _WORKER], env=environment, check=True)
    asked = [sys.executable, "-c", _ASKED, str(tmp_path)]
    text = subprocess.run(asked, env=environment, check=True, capture_output=True, text=True).stdout
    assert 'thermokeeper_calls_total{method="GET",route="/healthz",status="2xx"} 2.0' in text
    assert 'thermokeeper_refusals_total{code="busy",status="503"} 2.0' in text
    assert 'thermokeeper_call_seconds_count{method="GET",route="/healthz"} 4.0' in text
