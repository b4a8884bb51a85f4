"""What a server has in memory while 200 devices download at once, each as slowly as a board does."""

from __future__ import annotations

import asyncio
from pathlib import Path

from load.servers import Served, key, ours, request
from thermokeeper.client.calls import VendorClient

DOWNLOADS = 200
_FIRMWARE_BYTES = 2 << 20
_BLOCK_BYTES = 4096


def memory_of_downloads(folder: Path) -> float:
    """The most there was, in MB."""
    with ours(folder, DOWNLOADS, "--quiet") as served:
        token = (folder / f"ours-{DOWNLOADS}" / "vendor-token").read_text().strip()
        with VendorClient(f"http://127.0.0.1:{served.port}", token) as vendor:
            made = vendor.create_version("load", "2.0.0")
            vendor.upload_firmware(made.id, bytes(_FIRMWARE_BYTES))
        return asyncio.run(_download(served, made.id))


async def _download(served: Served, version_id: str) -> float:
    most_mb = 0.0
    begun = asyncio.Barrier(DOWNLOADS + 1)

    async def one(number: int) -> int:
        path = f"/v1/versions/{version_id}/firmware.bin"
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=_BLOCK_BYTES)
        writer.write(request("GET", path, f"X-ApiKey: {key(number)}").encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        await begun.wait()  # all of them are under way
        taken = 0
        while taken < _FIRMWARE_BYTES:
            taken += len(await reader.read(_BLOCK_BYTES))
        writer.close()
        return taken

    tasks = [asyncio.create_task(one(number)) for number in range(DOWNLOADS)]
    await begun.wait()
    while not all(task.done() for task in tasks):
        most_mb = max(most_mb, served.memory_mb())
        await asyncio.sleep(0.1)
    assert {task.result() for task in tasks} == {_FIRMWARE_BYTES}
    return most_mb
