"""What boards would refuse is given to none of them, in no way; what is unusual has to be meant."""

import json
import random
import re
import sqlite3
import tracemalloc
from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from click.testing import CliRunner

import images
from contracts.server.conftest import DATABASE_URL
from contracts.server.test_fleet import watched
from keeper.release import SIGNATURE_OFFSET, key_id
from signed_releases import Press
from thermokeeper.client.commands import GROUPS
from thermokeeper.client.commands import products as product_commands
from thermokeeper.client.connection import Refused
from thermokeeper.errors import ToolError
from thermokeeper.formats.partitions import FLASH_SIZES, table_for
from thermokeeper.release import keys
from thermokeeper.release.builder import manifest_fields, pack_header
from thermokeeper.release.known import read_known, updates
from thermokeeper.server.local import LocalServer
from thermokeeper.server.settings import Settings
from thermokeeper.server.storage.database import DATABASE_FILE
from thermokeeper.server.storage.firmware import FirmwareStore


@pytest.fixture(scope="module")
def press(tmp_path_factory):
    return Press(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def store(shop, press):
    """A shop whose product has a key and a flash map."""
    shop.vendor.add_key(shop.tag, press.public())
    shop.vendor.change_product(shop.tag, flash_size="4MiB")
    return shop


def _after(**time: float) -> str:
    return f"{datetime.now(UTC) + timedelta(**time):%Y-%m-%dT%H:%M:%SZ}"


def _refused(call, *arguments, **settings) -> tuple[str, str]:
    with pytest.raises(Refused) as error:
        call(*arguments, **settings)
    assert error.value.status == 409 and "\n" not in str(error.value)
    return error.value.code, str(error.value)


def _published(shop) -> str | None:
    target = shop.vendor.template(shop.template.id).target_version
    return target.name if target else None


# -- what can't be right -----------------------------------------------------------------------------------------------


def _text(press, product):
    return b"not a firmware at all\n" * 300


def _bare_image(press, product):
    return images.application(20000)


def _unsigned(press, product):
    return press.release(product, signed=None)


def _stranger(press, product):
    return press.release(product, signed="stranger", trusts=("ours", "stranger"))


def _stranger_under_our_name(press, product):
    data = press.release(product)
    content = pack_header(manifest_fields(data[:4096]))[:SIGNATURE_OFFSET]
    return content + keys.sign(keys.load_private(press.key("stranger"), str), content) + data[4096:]


def _flipped_signature(press, product):
    data = bytearray(press.release(product))
    data[SIGNATURE_OFFSET + 100] ^= 1
    return bytes(data)


def _changed_header(press, product):
    data = press.release(product)
    return data[:4096].replace(b'"1.0.0"', b'"1.0.9"') + data[4096:]


def _another_products(press, product):
    return press.release("kettle")


def _too_large(press, product):
    return press.release(product, app=images.application(table_for("4MiB").slot_size - 8000))


def _expired(press, product):
    return press.release(product, expires=_after(minutes=-1))


@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        (_text, "not_a_release", "no release file"),
        (_bare_image, "not_a_release", "no release file"),
        (_unsigned, "wrong_key", "isn't signed"),
        (_stranger, "wrong_key", "key that isn't trusted here"),
        (_stranger_under_our_name, "wrong_key", "signature is wrong"),
        (_flipped_signature, "wrong_key", "signature is wrong"),
        (_changed_header, "wrong_key", "signature is wrong"),
        (_another_products, "wrong_product", "for another product: kettle, not"),
        (_too_large, "no_slot", "needs a slot of .* flash map for 4MiB"),
        (_expired, "expired", "has expired"),
    ],
)
def test_what_boards_would_refuse_is_given_to_none_and_can_not_be_forced(store, press, make, code, said):
    good = store.version("good", press.release(store.tag, "0.9.0"))
    bad = store.version("bad", make(press, store.tag))
    device = store.device()
    ways = [
        lambda: store.vendor.publish(bad.id),
        lambda: store.vendor.change_serial(device.number, target_version=bad.id),
        lambda: store.vendor.add_serial(store.tag, f"{device.number}b", target_version=bad.id),
        lambda: store.vendor.change_version(good.id, update_to_version=bad.id),
        lambda: store.vendor.create_version(store.template.id, "leads", update_to_version=bad.id),
    ]
    for way in ways:
        found, message = _refused(way)
        assert found == code and re.search(said, message), message
    assert _published(store) is None
    assert device.call("GET", "/target-version.json").status_code == 204
    assert not store.vendor.serial(device.number).own_target
    assert [one.name for one in store.vendor.versions(store.template.id)] == ["good", "bad"]
    store.vendor.publish(good.id, force=False)
    assert _published(store) == "good"


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("where", [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1])
def test_a_flipped_byte_is_found_at_the_upload_which_may_be_repeated(store, press, compressed, where):
    noise = random.Random(1).randbytes(20000)  # where a flipped byte always makes another content
    app = images.image([(0x3F400020, noise)])
    whole = press.release(store.tag, app=app, files={"noise": noise}, compressed=compressed)
    damaged = bytearray(whole)
    damaged[4096 + int((len(whole) - 4097) * where)] ^= 0x10
    version = store.vendor.create_version(store.template.id, "1")
    with pytest.raises(Refused, match="part (app|fs)") as error:
        store.vendor.upload_firmware(version.id, bytes(damaged))
    assert (error.value.status, error.value.code) == (400, "bad_release")
    found = store.vendor.version(version.id)
    assert (found.firmware_size, found.firmware_sha256, found.release) == (None, None, None)
    assert not (store.server.settings.data_dir / "firmware" / f"{version.id}.bin").exists()
    assert _refused(store.vendor.publish, version.id)[0] == "no_firmware"
    store.vendor.upload_firmware(version.id, whole)
    store.vendor.publish(version.id, force=False)


def test_what_is_no_application_image_is_no_release_either(store, press):
    version = store.vendor.create_version(store.template.id, "1")
    with pytest.raises(Refused, match="not an ESP32 application image"):
        store.vendor.upload_firmware(version.id, press.release(store.tag, app=b"x" * 4096))


def test_each_product_of_a_template_is_asked(store, press):
    shop = store
    shop.vendor.create_product(f"o-{shop.tag}", "Other", shop.template.id, keys=[press.public("second")])
    version = shop.version("1", press.release(shop.tag))
    code, message = _refused(shop.vendor.publish, version.id)
    assert code == "wrong_product" and f"not o-{shop.tag}" in message


def test_a_product_whose_serial_numbers_have_the_template_of_their_own_is_asked(store, press, make_shop):
    other = make_shop(store.server, store.http)
    number = other.serial(template=store.template.id)
    version = store.version("1", press.release(store.tag))
    assert _refused(store.vendor.publish, version.id)[0] == "wrong_product"
    other.vendor.change_serial(number, template=None)
    store.vendor.publish(version.id)
    assert _refused(other.vendor.change_serial, number, template=store.template.id)[0] == "wrong_product"
    assert _refused(other.vendor.add_serial, other.tag, f"{number}b", store.template.id)[0] == "wrong_product"
    assert not other.vendor.serial(number).own_template
    other.vendor.close()


def test_a_new_product_is_asked_of_what_its_template_has_published(store, press):
    store.version("1", press.release(store.tag), publish=True)

    def made(code: str, key: str):
        return store.vendor.create_product(code, "P", store.template.id, keys=[press.public(key)])

    assert _refused(made, f"x-{store.tag}", "ours")[0] == "wrong_product"
    store.vendor.withdraw(store.template.id)
    made(f"x-{store.tag}", "ours")


def test_a_release_that_was_uploaded_before_they_were_read_is_read_when_it_is_published(store, press, refused):
    if DATABASE_URL:
        pytest.skip("looks into SQLite's file")
    good, bad = (store.version(name, press.release(store.tag, f"{name}.0.0")) for name in "12")
    with closing(sqlite3.connect(store.server.settings.data_dir / DATABASE_FILE)) as rows, rows:
        rows.execute("DELETE FROM version_releases")
    with (store.server.settings.data_dir / "firmware" / f"{bad.id}.bin").open("r+b") as file:
        file.seek(-5000, 2)
        file.write(b"rot")
    code, message = _refused(store.vendor.publish, bad.id)
    assert code == "bad_release" and "isn't what the manifest says" in message
    store.vendor.publish(good.id, force=False)


# -- what is unusual ---------------------------------------------------------------------------------------------------


def _unusual(store, version, said: str, published: str | None) -> None:
    code, message = _refused(store.vendor.publish, version.id, force=False)
    assert code == "unusual" and said in message and "force" in message
    assert _published(store) == published
    store.vendor.publish(version.id, force=True)
    assert _published(store) == version.name
    (line,) = [one for one in store.vendor.audit(version.id) if one.what == "version.forced"]
    assert said in line.detail


def test_without_a_key_a_signature_can_not_be_checked(shop, press):
    _unusual(shop, shop.version("1", press.release(shop.tag)), "has no key", None)
    _unusual(shop, shop.version("2", b"another device's"), "no release file", "1")


def test_without_a_signature_no_board_takes_a_release(shop, press):
    version = shop.version("1", press.release(shop.tag, signed=None))
    assert _refused(shop.vendor.publish, version.id, force=True)[0] == "wrong_key"


def test_without_a_product_nothing_can_be_checked(shop, press):
    template = shop.vendor.create_template(f"Lonely {shop.tag}")
    version = shop.version("1", press.release(shop.tag), template=template.id)
    code, message = _refused(shop.vendor.publish, version.id, force=False)
    assert code == "unusual" and "no product has this template" in message


def test_a_release_that_expires_soon(store, press):
    _unusual(store, store.version("1", press.release(store.tag, expires=_after(days=6))), "expires soon", None)
    later = store.version("2", press.release(store.tag, "2.0.0", expires=_after(days=8)))
    store.vendor.publish(later.id, force=False)


def test_a_version_number_that_is_not_higher(store, press):
    store.version("1", press.release(store.tag, "1.9.0"), publish=True)
    _unusual(store, store.version("2", press.release(store.tag, "1.9.0")), "the same version number (1.9.0)", "1")
    higher = store.version("3", press.release(store.tag, "1.10.0"))
    store.vendor.publish(higher.id, force=False)
    _unusual(store, store.version("4", press.release(store.tag, "1.9.9")), "1.9.9 is lower than", "3")


def test_a_release_that_could_not_be_replaced(store, press):
    _unusual(store, store.version("1", press.release(store.tag, trusts=())), "brings no keys", None)


def test_a_key_that_no_release_before_it_trusts(store, press):
    """The key is the product's, but no board in the field knows of it yet."""
    store.vendor.add_key(store.tag, press.public("second"))
    store.version("1", press.release(store.tag, "1.0.0"), publish=True)
    hasty = store.version("2", press.release(store.tag, "2.0.0", signed="second", trusts=("second",)))
    code, message = _refused(store.vendor.publish, hasty.id, force=False)
    assert code == "unusual" and "boards that run version 1 refuse it" in message and "isn't trusted" in message


def test_a_key_that_was_announced_by_the_release_before(store, press):
    store.vendor.add_key(store.tag, press.public("second"))
    first = store.version("1", press.release(store.tag, "1.0.0"), publish=True)
    late = store.device()
    both = press.release(store.tag, "2.0.0", trusts=("ours", "second"))
    store.vendor.publish(store.version("2", both).id, force=False)
    third = store.version("3", press.release(store.tag, "3.0.0", signed="second", trusts=("second",)))
    late.call("PUT", "/version.json", {"id": first.id})
    code, message = _refused(store.vendor.publish, third.id, force=False)
    assert code == "unusual" and "run version 1 refuse it" in message and "version 2" not in message
    late.call("PUT", "/version.json", {"id": store.vendor.version(f"{store.template.name}/2").id})
    store.vendor.publish(third.id, force=False)


def test_a_key_that_was_revoked_comes_not_back_and_security_goes_not_down(store, press):
    """The second release trusts the key again, which boards that had the first one don't believe."""
    store.vendor.add_key(store.tag, press.public("second"))
    gone = keys_id(press, "ours")
    first = press.release(store.tag, "1.0.0", trusts=("second",), revokes=(gone,), security=2)
    store.version("1", first, publish=True)
    back = press.release(store.tag, "2.0.0", signed="second", trusts=("ours", "second"), security=2)
    store.vendor.publish(store.version("2", back).id, force=False)
    by_revoked = store.version("3", press.release(store.tag, "3.0.0", trusts=("ours", "second"), security=2))
    code, message = _refused(store.vendor.publish, by_revoked.id, force=False)
    assert code == "unusual" and "run version 2 refuse it" in message and gone in message
    older = store.version("4", press.release(store.tag, "4.0.0", signed="second", security=1))
    code, message = _refused(store.vendor.publish, older.id, force=False)
    assert code == "unusual" and "security version 1, older than 2" in message
    right = press.release(store.tag, "5.0.0", signed="second", trusts=("second",), security=2)
    store.vendor.publish(store.version("5", right).id, force=False)


def keys_id(press, name: str) -> str:
    return key_id(press.modulus(name))


def test_one_board_is_asked_for_what_it_runs(store, press):
    store.vendor.add_key(store.tag, press.public("second"))
    first = store.version("1", press.release(store.tag, "1.0.0"), publish=True)
    other = store.version("2-test", press.release(store.tag, "2.0.0", signed="second"), prototype=True)
    device = store.device()
    device.call("PUT", "/version.json", {"id": first.id})
    set_target = store.vendor.change_serial
    code, message = _refused(set_target, device.number, target_version=other.id, force=False)
    assert code == "unusual" and "run version 1 refuse it" in message
    assert not store.vendor.serial(device.number).own_target
    set_target(device.number, target_version=other.id, force=True)
    set_target(device.number, target_version=other.id, force=False)  # repeated: nothing changes
    code, _ = _refused(store.vendor.change_version, first.id, update_to_version=other.id, force=False)
    assert code == "unusual"
    store.vendor.change_version(first.id, update_to_version=other.id, force=True)
    store.vendor.change_version(first.id, update_to_version=other.id, force=False)


def test_a_version_is_published_only_if_its_devices_take_what_it_leads_to(store, press):
    store.vendor.add_key(store.tag, press.public("second"))
    second = store.version("2", press.release(store.tag, "2.0.0", signed="second"))
    first = store.vendor.create_version(store.template.id, "1", update_to_version=second.id, force=False)
    store.vendor.upload_firmware(first.id, press.release(store.tag, "1.0.0", trusts=("ours",)))
    code, message = _refused(store.vendor.publish, first.id, force=False)
    assert code == "unusual" and "run version 1 refuse it" in message
    store.vendor.change_version(first.id, update_to_version=None)
    store.vendor.publish(first.id, force=False)
    empty = store.vendor.create_version(store.template.id, "3")
    assert _refused(store.vendor.change_version, first.id, update_to_version=empty.id)[0] == "no_firmware"


def test_a_publication_that_is_repeated_is_not_judged_again(store, press):
    version = store.version("1", press.release(store.tag), publish=True)
    store.vendor.remove_key(store.tag, store.vendor.keys(store.tag)[0].id)
    store.vendor.publish(version.id, force=False)
    assert _published(store) == "1"


# -- keys and flash map ------------------------------------------------------------------------------------------------


def test_keys_of_a_product_are_added_listed_and_removed(shop, press, refused):
    added = shop.vendor.add_key(shop.tag, press.public(), "in the safe")
    assert shop.vendor.add_key(shop.tag, press.public()) == added, "once"
    assert shop.vendor.keys(shop.tag) == [added] and added.name == "in the safe"
    assert [one.keys for one in shop.vendor.products() if one.code == shop.tag] == [[added.id]]
    for _ in range(2):
        shop.vendor.remove_key(shop.tag, added.id)
    assert shop.vendor.keys(shop.tag) == []
    assert [one.what for one in shop.vendor.audit(shop.tag)] == ["key.removed", "key.added", "product.created"]
    path, headers = f"/v1/vendor/products/{shop.tag}/keys.json", {"X-VendorToken": shop.server.vendor_token}
    for wrong in ("", "x", press.key("ours").read_text(), "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"):
        message = refused(shop.http.post(path, json={"key": wrong}, headers=headers), 400, "bad_request")
        assert "MII" not in message
    refused(shop.http.post(path, json={"key": "x" * 5000}, headers=headers), 400, "bad_request")


def test_a_private_key_never_leaves_the_vendors_machine(shop, press):
    with pytest.raises(ToolError, match="private key, which isn't sent anywhere"):
        shop.vendor.add_key(shop.tag, press.key("ours"))


def test_the_flash_map_of_a_product_is_set_and_taken_back(shop, press):
    large = press.release(shop.tag, app=images.application(table_for("4MiB").slot_size))
    shop.vendor.add_key(shop.tag, press.public())
    version = shop.version("1", large)
    for size, code in (("4MiB", "no_slot"), ("8MiB", None), (None, None)):
        assert shop.vendor.change_product(shop.tag, flash_size=size).flash_size == size
        if code:
            assert _refused(shop.vendor.publish, version.id)[0] == code
        else:
            shop.vendor.publish(version.id, force=False)
            shop.vendor.withdraw(shop.template.id)
    assert tuple(FLASH_SIZES) == product_commands._FLASH_SIZES


# -- what an update costs ----------------------------------------------------------------------------------------------


def test_a_version_says_what_devices_with_each_earlier_one_download(store, press, tmp_path):
    module = {f"m{number}.mpy": random.Random(number).randbytes(9000) for number in range(6)}
    app = images.application(40000)
    files = {
        "1": press.release(store.tag, "1.0.0", app=app, files=module, compressed=True),
        "2": press.release(
            store.tag, "2.0.0", app=app, files=module | {"m3.mpy": random.Random(9).randbytes(9000)}, compressed=True
        ),
        "3": press.release(store.tag, "3.0.0", app=images.application(50000), files=module, compressed=True),
    }
    for name, data in files.items():
        store.version(name, data, publish=True)
        (tmp_path / f"{name}.tkr").write_bytes(data)
    proto = store.version("4-test", press.release(store.tag, "4.0.0", files=module), prototype=True)
    found = {
        one.name: {row.name: row.size for row in one.downloads} for one in store.vendor.versions(store.template.id)
    }
    for name, earlier in (("1", ""), ("2", "1"), ("3", "12")):
        known = read_known([tmp_path / f"{one}.tkr" for one in earlier]) if earlier else []
        told = {row.path.stem: row.download_bytes for row in updates(known, files[name])}
        assert found[name] == told
        assert all(size < len(files[name]) for size in told.values())
    assert set(found["4-test"]) == {"1", "2", "3"} and proto.downloads, "known before it is published"
    assert found["3"]["1"] > 8192 and found["2"]["1"] > 8192


def test_a_device_that_takes_everything_takes_all_of_it(shop):
    shop.version("1", b"x" * 1000, publish=True)
    second = shop.version("2", b"y" * 2000, publish=True)
    assert [(one.name, one.size) for one in second.downloads] == [("1", 2000)]
    shop.vendor.withdraw(shop.template.id)
    shop.vendor.delete_version(f"{shop.template.name}/1")
    assert shop.vendor.version(second.id).downloads == []


def test_what_an_update_costs_is_worked_out_once(store, press, monkeypatch):
    store.version("1", press.release(store.tag, "1.0.0"), publish=True)
    second = store.version("2", press.release(store.tag, "2.0.0"))
    opened = []
    monkeypatch.setattr(FirmwareStore, "open", lambda *_: opened.append(1))
    assert [one.name for one in store.vendor.version(second.id).downloads] == ["1"]
    list(store.vendor.versions(store.template.id))
    store.vendor.publish(second.id, force=False)
    assert opened == []


def test_a_list_of_versions_takes_as_many_queries_as_one_version(store, press):
    for number in range(1, 8):
        store.version(f"{number}", press.release(store.tag, f"{number}.0.0"), publish=True)
    with watched() as queries:
        assert len(list(store.vendor.versions(f"{store.template.id}"))) == 7
    assert queries.count <= 10


def test_memory_does_not_depend_on_the_releases_size(tmp_path, press, make_shop):
    data = press.release("big", app=images.application(12 << 20))
    with LocalServer(tmp_path, settings=Settings(tmp_path, "")) as server, httpx.Client(base_url=server.url) as http:
        shop = make_shop(server, http)
        shop.vendor.create_product("big", "Big", shop.template.id, keys=[press.public()])
        version = shop.vendor.create_version(shop.template.id, "1")
        path = tmp_path / "release.tkr"
        path.write_bytes(data)
        http.get("/healthz")
        tracemalloc.start()
        try:
            shop.vendor.upload_firmware(version.id, path)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        shop.vendor.close()
    assert peak < 6 << 20


# -- commands ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(shop, tmp_path):
    token = tmp_path / "token"
    token.write_text(shop.server.vendor_token)
    environment = {"THERMOKEEPER_SERVER": shop.server.url, "THERMOKEEPER_VENDOR_TOKEN_FILE": str(token)}
    groups = {group.name: group for group in GROUPS}

    def run(*words: object) -> str:
        result = CliRunner().invoke(groups[str(words[0])], [str(word) for word in words[1:]], env=environment)
        if result.exception is not None:
            raise result.exception
        return result.output

    return run


def test_a_vendors_day_with_keys(run, shop, press, tmp_path):
    code = f"k-{shop.tag}"
    template = f"Kitchen {shop.tag}"
    run("template", "create", template)
    made = run("product", "create", code, "--name", "K", "--template", template, "--key", press.public())
    assert keys_id(press, "ours") in made
    assert "4MiB" in run("product", "set", code, "--flash-size", "4MiB")
    run("product", "key", "add", code, press.public("second"), "--name", "safe")
    listed = json.loads(run("product", "key", "list", code, "--json"))
    assert {one["id"] for one in listed} == {keys_id(press, "ours"), keys_id(press, "second")}
    assert "removed" in run("product", "key", "remove", code, keys_id(press, "second"))
    files = {}
    for version in ("1.0.0", "1.1.0", "1.0.5"):
        files[version] = tmp_path / f"{version}.tkr"
        files[version].write_bytes(press.release(code, version))
    create = ("version", "create", "--template", template, "--publish", "--firmware")
    run(*create, files["1.0.0"], "1")
    assert "update from 1" in run(*create, files["1.1.0"], "2")
    with pytest.raises(ToolError, match=r"lower than .* is there, unpublished"):
        run(*create, files["1.0.5"], "3")
    assert "yes" in run("version", "publish", f"{template}/3", "--force")
    files["1.0.0"].write_bytes(press.release(code, "1.9.0", signed="stranger"))
    with pytest.raises(ToolError, match=f"keys of the product {code} are {keys_id(press, 'ours')}"):
        run(*create, files["1.0.0"], "4", "--force")
    assert "UPDATE" in run("version", "list", template)
    with pytest.raises(ToolError, match="private key"):
        run("product", "key", "add", code, press.key("ours"))
