"""The device's own code against the server: from a token to readings, through each of the device's calls."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

import cpython_streams  # noqa: F401
from fake_device import kept_loaded
from keeper.assembling.assembly import join
from keeper.errors import CloudError
from keeper.factory.identity import checked
from keeper.talking.http import Client
from thermokeeper.client.calls import OwnerClient

FIRMWARE = bytes(range(256)) * 40


class Memory:
    """In place of `keeper.nvs.state.Store`."""

    now: Memory

    def __init__(self) -> None:
        self.records: dict[str, Any] = {}

    def load(self, name: str) -> Any:
        return self.records.get(name)

    def save(self, name: str, record: Any) -> None:
        self.records[name] = dict(record)

    def erase(self, name: str) -> None:
        self.records.pop(name, None)


@pytest.fixture(autouse=True)
def _memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What phases load stays, and with it what stands in place of NVS."""
    from keeper.services.gecko_dms.joining import provisioning  # as it is loaded now: others may have forgotten it

    monkeypatch.setattr(provisioning, "Store", lambda: Memory.now)
    with kept_loaded():
        yield


@pytest.fixture
def owner(shop) -> Iterator[OwnerClient]:
    account = shop.owner()
    shop.vendor.grant_access(account.name, shop.tag)
    with OwnerClient(shop.server.url, account.token) as client:
        yield client


def _device(shop, store: Memory, **members: Any) -> Any:
    """(driver, standing) after a boot."""
    fields = {"serial": f"SN-{shop.tag}", "product": shop.tag, "service": "gecko_dms", "server": shop.server.url}
    found = checked({**fields, "plain_http": True, **members})
    Memory.now = store
    cloud, standing = join(found, Client(lambda: None), "Bob")
    standing.recall()
    return cloud, standing


def test_a_device_goes_from_a_token_to_readings(shop, owner):
    version = shop.version("1", FIRMWARE, publish=True)
    store = Memory()
    cloud, standing = _device(shop, store)
    token = shop.vendor.create_dms_token().token
    with pytest.raises(CloudError, match="nobody has claimed"):
        standing.provision(token)
        standing.ensure()
    assert standing.get_provision_status() == 3
    owner.claim_device(standing.describe()["uuid"])
    standing.ensure()
    assert standing.active()
    target = cloud.target()
    assert (target.id, target.name, cloud.current()) == (version.id, "1", None)
    stream = cloud.open_release(target.id)
    head = bytearray(1000)
    assert stream.readinto(head) == 1000
    stream.close()
    rest = bytearray(len(FIRMWARE))
    stream = cloud.open_release(target.id, 1000, stream.etag)
    assert (stream.offset, stream.size, stream.readinto(rest)) == (1000, len(FIRMWARE), len(FIRMWARE) - 1000)
    stream.close()
    assert bytes(head) + bytes(rest[: len(FIRMWARE) - 1000]) == FIRMWARE
    cloud.confirm(target.id)
    assert cloud.current().id == version.id
    cloud.failed(target.id, "0.9", "watchdog")
    cloud.report("temperature", [(21.3, "2026-11-21T20:13:18.000+0000"), (-4, None)])
    standing.give_name()
    (thing,) = owner.things()
    assert (thing.name, thing.serial_number) == ("Bob", standing.describe()["uuid"])
    assert sorted(point.value for point in owner.datapoints(thing.id)) == [-4, 21.3]
    again, standing = _device(shop, store)
    standing.ensure()
    assert again.target().id == version.id


def test_refusals_are_the_ones_that_the_device_knows(shop, owner):
    store = Memory()
    cloud, standing = _device(shop, store, token=shop.vendor.create_dms_token().token)
    standing.provision()
    with pytest.raises(CloudError) as caught:
        cloud.target()
    assert (caught.value.status, caught.value.code) == (409, "not_activated")
    with pytest.raises(CloudError) as caught:
        standing.activate("no-such-code")
    assert caught.value.status == 404
    owner.claim_device(standing.describe()["uuid"])
    standing.ensure()
    assert standing.product() == shop.tag
    store.records["dms"]["credential"] = "another"
    cloud, standing = _device(shop, store)
    with pytest.raises(CloudError) as caught:
        cloud.target()
    assert caught.value.status == 401


def test_a_credential_that_a_later_answer_replaced_is_replaced_by_the_device(shop):
    token = shop.vendor.create_dms_token().token
    store = Memory()
    cloud, standing = _device(shop, store, token=token)
    from keeper.services.gecko_dms.joining import provisioning

    provisioning._keep(standing, credential=cloud.provision(token, standing.describe()["uuid"]), acked=False)
    cloud.provision(token, standing.describe()["uuid"])
    cloud, standing = _device(shop, store, token=token)
    assert standing.get_provision_status() == 2
    with pytest.raises(CloudError, match="replaced"):
        standing.provision()
    standing.provision()
    assert standing.get_provision_status() == 3
    standing.forget()
    with pytest.raises(CloudError, match="no provisioning token"):
        standing.provision()
    standing.provision(shop.vendor.create_dms_token(uuid=standing.describe()["uuid"]).token)
    assert standing.get_provision_status() == 3


def test_the_factory_record_s_uuid_is_the_one_that_the_server_knows(shop):
    given = str(uuid.uuid4())
    _, standing = _device(shop, Memory(), uuid=given, token=shop.vendor.create_dms_token(uuid=given).token)
    standing.provision()
    assert shop.vendor.dms_device(given).state == "acknowledged"
