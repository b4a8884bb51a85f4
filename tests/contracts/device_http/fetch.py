"""Fetches URLs with the device's HTTP client, says what came of each: `fetch.py CA[,CA...] URL...`, on either runtime.

One line for each URL: `200 <bytes> <sum of them>` or `NetError: <message>`; a last line has the memory still in use.
"""

import gc
import sys

if sys.implementation.name == "cpython":
    import cpython_streams  # noqa: F401

from keeper.errors import NetError
from keeper.talking.http import Client


def fetch(client: Client, url: str) -> str:
    """What came of one GET, as a line."""
    block = bytearray(4096)
    size = total = 0
    try:
        with client.open("GET", url, auth=("X-ApiKey", "secret"), deadline_ms=3_000) as response:
            count = len(block)
            while count:
                count = response.readinto(block)
                size += count
                total += sum(memoryview(block)[:count])
            return f"{response.status} {size} {total}"
    except NetError as error:
        return f"NetError: {error}"


def read(path: str) -> bytes:
    """Content of a file."""
    with open(path, "rb") as file:
        return file.read()


def main(ca_paths: str, urls: list[str]) -> None:
    """Print a line for each URL."""
    found = [read(path) for path in ca_paths.split(",")]
    client = Client(lambda: None, ca=found if len(found) > 1 else found[0], idle_ms=700)
    for url in urls:
        print(fetch(client, url))
    gc.collect()
    if hasattr(gc, "mem_alloc"):
        print(f"memory {gc.mem_alloc()}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
