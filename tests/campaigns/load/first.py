"""What a first activation costs where there are many things, beside one where there are few."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import httpx

from load.servers import fill
from thermokeeper.client.calls import VendorClient
from thermokeeper.server.local import LocalServer
from thermokeeper.server.rules.ratelimit import Rate
from thermokeeper.server.settings import Settings

FEW, MANY = 10, 100_000
_TIMES, _TURNS = 40, 5
_FAST = Rate(burst=1_000_000, every_s=0.001)


def ratio_of_first_activations(folder: Path) -> float:
    """Both servers run, and are asked in turns."""
    settings = Settings(folder, "", serial_rate=_FAST, client_rate=_FAST)
    servers = {}
    for things in (FEW, MANY):
        data = folder / f"first-{things}"
        data.mkdir()
        fill(data, things)
        servers[things] = LocalServer(data, settings=settings)
    took: dict[int, list[float]] = {FEW: [], MANY: []}
    with servers[FEW], servers[MANY]:
        for turn in range(_TURNS):
            for things, server in servers.items():
                numbers = [f"NEW{turn:02d}{number:06d}" for number in range(_TIMES)]
                with VendorClient(server.url, server.vendor_token) as vendor:
                    vendor.add_serials("load", numbers)
                with httpx.Client(base_url=server.url, timeout=60) as client:
                    began_s = time.perf_counter()
                    for number in numbers:
                        client.post("/v1/provision/activate.json", json={"serialNumber": number}).raise_for_status()
                    took[things].append(time.perf_counter() - began_s)
    return statistics.median(took[MANY]) / statistics.median(took[FEW])
