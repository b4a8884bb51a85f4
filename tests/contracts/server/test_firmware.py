"""Firmware in and out: exact lengths, ranges through sockets, release files, and memory that doesn't grow with it."""

import base64
import hashlib
import io
import json
import random
import tracemalloc
from itertools import pairwise

import anyio
import httpx
import pytest

from signed_releases import Press
from thermokeeper.server.http.streaming import Base64JsonResponse
from thermokeeper.server.local import LocalServer
from thermokeeper.server.settings import Limits, Settings
from thermokeeper.server.storage.firmware import FirmwareStore

FIRMWARE = random.Random(1).randbytes(200_001)
ETAG = f'"{hashlib.sha256(FIRMWARE).hexdigest()}"'


@pytest.fixture
def device_and_url(shop):
    version = shop.version("1", FIRMWARE)
    return shop.device(), f"/v1/versions/{version.id}/firmware.bin"


@pytest.mark.parametrize("size", [1, 2, 3, 4, 48 * 1024 - 1, 48 * 1024, 48 * 1024 + 1, 200_000])
def test_firmware_as_json_is_exact_base64_with_its_exact_length(shop, size):
    version = shop.version("1", FIRMWARE[:size])
    response = shop.device().call("GET", f"/v1/versions/{version.id}/firmware.json")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-length"] == str(len(response.content))
    assert response.content == json.dumps({"firmware": base64.b64encode(FIRMWARE[:size]).decode()}).encode()


def test_base64_is_right_when_a_file_gives_less_than_was_asked_for():
    class Stingy(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 1, 7))

    blocks = b"".join(Base64JsonResponse(Stingy(FIRMWARE), 0, len(FIRMWARE), {}).blocks())
    assert base64.b64decode(json.loads(blocks)["firmware"]) == FIRMWARE


def test_the_whole_firmware_comes_with_etag_and_length(device_and_url):
    device, url = device_and_url
    response = device.call("GET", url)
    assert (response.status_code, response.content) == (200, FIRMWARE)
    assert response.headers["etag"] == ETAG
    assert response.headers["content-length"] == str(len(FIRMWARE))
    assert response.headers["accept-ranges"] == "bytes"
    head = device.call("HEAD", url, headers={"Range": "bytes=5-"})
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(FIRMWARE)))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-", 100, 200_001),
        ("bytes=199999-999999", 199_999, 200_001),
        ("bytes=-1", 200_000, 200_001),
        ("bytes=-999999", 0, 200_001),
        ("bytes=49150-49155", 49_150, 49_156),
    ],
)
def test_a_range_is_206_with_its_place(device_and_url, text, start, end):
    device, url = device_and_url
    response = device.call("GET", url, headers={"Range": text, "If-Range": ETAG})
    assert (response.status_code, response.content) == (206, FIRMWARE[start:end])
    assert response.headers["content-range"] == f"bytes {start}-{end - 1}/{len(FIRMWARE)}"
    assert response.headers["content-length"] == str(end - start)
    assert response.headers["etag"] == ETAG


def test_a_broken_download_goes_on_where_it_stopped(device_and_url):
    device, url = device_and_url
    got = b""
    for start, end in pairwise((0, 1000, 65_536, 65_537, len(FIRMWARE))):
        got += device.call("GET", url, headers={"Range": f"bytes={start}-{end - 1}", "If-Range": ETAG}).content
    assert got == FIRMWARE


@pytest.mark.parametrize("text", ["bytes=200001-", "bytes=-0", "bytes=999999-1000000"])
def test_a_range_that_is_not_there_is_416_with_the_length(device_and_url, refused, text):
    device, url = device_and_url
    response = device.call("GET", url, headers={"Range": text})
    refused(response, 416, "range_not_satisfiable")
    assert response.headers["content-range"] == "bytes */200001"


@pytest.mark.parametrize("text", ["bytes=5-4", "bytes=0-1,3-4", "lines=1-2", "bytes", "bytes=a-b", "bytes=-"])
def test_a_range_that_is_none_gets_the_whole(device_and_url, text):
    device, url = device_and_url
    assert device.call("GET", url, headers={"Range": text}).status_code == 200


def test_conditions(device_and_url, refused):
    device, url = device_and_url
    response = device.call("GET", url, headers={"If-None-Match": f'"x", W/{ETAG}'})
    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", ETAG)
    refused(device.call("GET", url, headers={"If-Match": '"x"'}), 412, "precondition_failed")
    assert device.call("GET", url, headers={"If-Match": ETAG}).status_code == 200
    whole = device.call("GET", url, headers={"Range": "bytes=5-9", "If-Range": '"other"'})
    assert (whole.status_code, len(whole.content)) == (200, len(FIRMWARE))
    both = device.http.get(url, headers=[("X-ApiKey", device.key), ("If-None-Match", '"x"'), ("If-None-Match", ETAG)])
    assert both.status_code == 304, "fields of one name are one list"


# -- upload ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def press(tmp_path_factory):
    return Press(tmp_path_factory.mktemp("keys"))


def _put(shop, version_id: str, content, headers: dict[str, str] | None = None) -> httpx.Response:
    headers = {"X-VendorToken": shop.server.vendor_token, **(headers or {})}
    return shop.http.put(f"/v1/vendor/versions/{version_id}/firmware.bin", content=content, headers=headers)


def test_a_release_file_is_recognised_and_devices_are_told_its_digest(shop, press):
    release = press.release(shop.tag, "1.2.3")
    digest = hashlib.sha256(release[:4096]).hexdigest()
    version = shop.version("7", release, publish=True)
    assert (version.release, version.release_version) == (digest, "1.2.3")
    device = shop.device()
    expected = {"id": version.id, "name": "7", "description": "", "release": digest, "release_version": "1.2.3"}
    assert device.call("GET", "/target-version.json").json() == expected
    assert device.call("GET", "/available-versions.json").json() == [{**expected, "automatic": True}]
    assert device.call("PUT", "/version.json", {"id": version.id}).json() == expected
    assert device.call("GET", "/version.json").json() == expected


def test_a_release_file_that_arrives_in_small_pieces_is_recognised(shop, press):
    release = press.release(shop.tag)
    version = shop.version("1", None)
    response = _put(shop, version.id, (release[index : index + 999] for index in range(0, len(release), 999)))
    assert response.json()["release"] == hashlib.sha256(release[:4096]).hexdigest()


@pytest.mark.parametrize("damage", [lambda file: file[:-1], lambda file: file + b"x", lambda file: file[:4096]])
def test_a_release_file_of_the_wrong_length_is_refused(shop, press, refused, damage):
    version = shop.version("1", None)
    refused(_put(shop, version.id, damage(press.release(shop.tag))), 400, "bad_release")
    assert shop.vendor.version(version.id).firmware_size is None


def test_a_damaged_release_header_is_refused(shop, refused):
    version = shop.version("1", None)
    refused(_put(shop, version.id, b"TKREL001" + b"\xff" * 5000), 400, "bad_release")
    refused(_put(shop, version.id, b"TKREL001"), 400, "bad_release")


def test_a_firmware_never_changes_but_may_be_sent_again(shop, refused):
    version = shop.version("1", b"one")
    assert _put(shop, version.id, b"one").status_code == 200
    refused(_put(shop, version.id, b"two"), 409, "has_firmware")
    assert shop.device().call("GET", f"/v1/versions/{version.id}/firmware.bin").content == b"one"


def _leftovers(shop) -> list[str]:
    return [path.name for path in (shop.server.settings.data_dir / "firmware").glob("*.part")]


def test_a_version_that_is_deleted_while_it_is_asked_for_is_not_found(shop, refused, monkeypatch):
    version, device = shop.version("1"), shop.device()
    whole = FirmwareStore.open

    def deleted_just_now(store, version_id, size):
        shop.vendor.delete_version(version_id)
        return whole(store, version_id, size)

    monkeypatch.setattr(FirmwareStore, "open", deleted_just_now)
    refused(device.call("GET", f"/v1/versions/{version.id}/firmware.bin"), 404, "not_found")


def test_an_upload_that_is_refused_or_breaks_off_leaves_nothing_behind(shop, refused):
    version = shop.version("1", None)
    limit = shop.server.settings.limits.firmware_bytes
    refused(_put(shop, version.id, b""), 400, "bad_request")
    refused(_put(shop, "0" * 32, b"x"), 404, "not_found")
    refused(_put(shop, version.id, b"x", {"X-VendorToken": "wrong"}), 401, "unauthorized")
    refused(_put(shop, version.id, bytes(limit + 1)), 413, "too_large")
    refused(_put(shop, version.id, (bytes(1 << 20) for _ in range((limit >> 20) + 1))), 413, "too_large")

    def broken():
        yield b"x" * 100_000
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        _put(shop, version.id, broken())
    assert shop.vendor.version(version.id).firmware_size is None
    assert shop.vendor.upload_firmware(version.id, b"good").firmware_size == 4
    for _ in range(200):  # the server sees the broken connection in its own time
        if not _leftovers(shop):
            break
        shop.http.get("/healthz")
    assert _leftovers(shop) == []


def test_two_uploads_at_once_leave_one_whole_firmware(shop):
    version = shop.version("1", None)
    contents = [bytes([number]) * 3_000_000 for number in range(3)]
    statuses = []

    async def put(client: httpx.AsyncClient, content: bytes) -> None:
        url = f"{shop.server.url}/v1/vendor/versions/{version.id}/firmware.bin"
        response = await client.put(url, content=content, headers={"X-VendorToken": shop.server.vendor_token})
        statuses.append(response.status_code)

    async def all_of_them() -> None:
        async with httpx.AsyncClient(timeout=30) as client, anyio.create_task_group() as group:
            for content in contents:
                group.start_soon(put, client, content)

    anyio.run(all_of_them)
    assert sorted(statuses) == [200, 409, 409]
    found = shop.device().call("GET", f"/v1/versions/{version.id}/firmware.bin").content
    assert found in contents
    assert shop.vendor.version(version.id).firmware_sha256 == hashlib.sha256(found).hexdigest()


def test_memory_does_not_depend_on_the_firmwares_size(tmp_path, make_shop):
    """Three blocks in flight are fine, the file is not; the client takes its time, so that buffers would fill."""
    size = 24 << 20
    block = bytes(range(256)) * 256
    settings = Settings(tmp_path, "", limits=Limits(firmware_bytes=size))
    with LocalServer(tmp_path, settings=settings) as server, httpx.Client(base_url=server.url, timeout=60) as http:
        shop = make_shop(server, http)
        device, version = shop.device(), shop.version("1", None)
        http.get("/healthz")
        tracemalloc.start()
        try:
            assert _put(shop, version.id, (block for _ in range(size // len(block)))).status_code == 200
            peaks = [tracemalloc.get_traced_memory()[1]]
            for path, length in (("firmware.bin", size), ("firmware.json", (size + 2) // 3 * 4 + 16)):
                tracemalloc.reset_peak()
                headers = {"X-ApiKey": device.key}
                taken = 0
                with http.stream("GET", f"/v1/versions/{version.id}/{path}", headers=headers) as response:
                    for chunk in response.iter_raw():
                        taken += len(chunk)
                assert taken == length
                peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        shop.vendor.close()
    assert max(peaks) < 6 << 20, peaks
