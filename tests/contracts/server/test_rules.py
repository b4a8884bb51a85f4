"""Which version a device should run, which it may have, and what can't be taken away under it."""

import pytest


def _target(device) -> str | None:
    response = device.call("GET", "/target-version.json")
    return response.json()["name"] if response.status_code == 200 else None


def test_the_target_is_the_serials_own_or_what_its_template_has_published(shop):
    device = shop.device()
    assert _target(device) is None
    first, second = shop.version("1", publish=True), shop.version("2")
    assert _target(device) == "1"
    shop.vendor.change_serial(device.number, target_version=second.id)
    assert _target(device) == "2"
    assert _target(shop.device()) == "1", "the others are not concerned"
    shop.vendor.change_serial(device.number, target_version=None)
    assert _target(device) == "1"
    shop.vendor.publish(second.id)
    assert _target(device) == "2"
    shop.vendor.withdraw(shop.template.id)
    assert _target(device) is None
    assert [version.published for version in shop.vendor.versions(shop.template.id)] == [False, False]
    assert first.id != second.id


def test_a_serial_with_a_template_of_its_own_runs_only_that_templates_versions(shop, refused):
    """Firmware of the product's default template may be for other hardware: it is never a fallback."""
    shop.version("1", publish=True)
    special = shop.vendor.create_template(f"Special {shop.tag}")
    device = shop.device(template=special.id)
    assert _target(device) is None
    version = shop.version("S", publish=True, template=special.id)
    assert _target(device) == "S"
    assert device.call("PUT", "/version.json", {"id": version.id}).status_code == 200
    shop.vendor.change_serial(device.number, template=None)
    assert _target(device) == "1"
    refused(device.call("GET", f"/v1/versions/{version.id}/firmware.bin"), 403)
    refused(device.call("PUT", "/version.json", {"id": shop.version("T", template=special.id).id}), 409)


def test_a_serial_may_be_added_with_template_and_target_of_its_own(shop):
    special = shop.vendor.create_template(f"Special {shop.tag}")
    version = shop.version("S", template=special.id)
    number = shop.serial(template=special.id, target_version=version.id)
    serial = shop.vendor.serial(number)
    assert (serial.own_template, serial.own_target, serial.template) == (True, True, special.id)
    assert serial.target_version and serial.target_version.id == version.id


def _vendor_call(shop, method: str, path: str, body: dict[str, object] | None = None):
    return shop.http.request(
        method,
        f"/v1/vendor{path}",
        json={**body, "force": True} if body is not None and method == "PATCH" else body,
        headers={"X-VendorToken": shop.server.vendor_token},
    )


def test_a_target_must_be_of_the_serials_template_and_have_firmware(shop, make_shop, refused):
    other = make_shop(shop.server, shop.http)
    foreign, empty, own = other.version("1"), shop.version("empty", None), shop.version("1")
    number = shop.serial()
    refused(
        _vendor_call(shop, "PATCH", f"/serials/{number}.json", {"targetVersion": foreign.id}), 409, "wrong_template"
    )
    refused(_vendor_call(shop, "PATCH", f"/serials/{number}.json", {"targetVersion": empty.id}), 409, "no_firmware")
    refused(_vendor_call(shop, "PATCH", f"/serials/{number}.json", {"targetVersion": "0" * 32}), 404)
    shop.vendor.change_serial(number, target_version=own.id)
    body = {"template": other.template.id}
    refused(_vendor_call(shop, "PATCH", f"/serials/{number}.json", body), 409, "wrong_template")
    body["targetVersion"] = foreign.id
    assert _vendor_call(shop, "PATCH", f"/serials/{number}.json", body).json()["targetVersion"]["id"] == foreign.id
    added = {"serialNumber": number + "b", "targetVersion": foreign.id}
    refused(_vendor_call(shop, "POST", f"/products/{shop.tag}/serials.json", added), 409, "wrong_template")
    other.vendor.close()


def test_a_device_can_not_choose_a_prototype_by_saying_that_it_runs_it(shop, refused):
    prototype = shop.version("3-test", prototype=True)
    device = shop.device()
    refused(device.call("PUT", "/version.json", {"id": prototype.id}), 409, "wrong_template")
    refused(device.call("GET", f"/v1/versions/{prototype.id}/firmware.bin"), 403, "forbidden")
    shop.vendor.change_serial(device.number, target_version=prototype.id)
    assert device.call("PUT", "/version.json", {"id": prototype.id}).status_code == 200
    assert device.call("GET", f"/v1/versions/{prototype.id}/firmware.bin").content == b"firmware"


def test_a_prototype_is_only_for_the_serials_it_is_meant_for(shop, refused):
    prototype = shop.version("3-test", prototype=True)
    refused(_vendor_call(shop, "POST", f"/versions/{prototype.id}/publish.json"), 409, "prototype")
    chosen, other = shop.device(), shop.device()
    shop.vendor.change_serial(chosen.number, target_version=prototype.id)
    url = f"/v1/versions/{prototype.id}/firmware.bin"
    assert _target(chosen) == "3-test"
    assert chosen.call("GET", url).status_code == 200
    refused(other.call("GET", url), 403, "forbidden")
    assert chosen.call("PUT", "/version.json", {"id": prototype.id}).status_code == 200
    shop.vendor.change_serial(chosen.number, target_version=None)
    assert chosen.call("GET", url).status_code == 200, "what it runs it may have again"


def test_a_version_without_firmware_is_not_published(shop, refused):
    refused(_vendor_call(shop, "POST", f"/versions/{shop.version('1', None).id}/publish.json"), 409, "no_firmware")


def _available(device) -> list[tuple[str, bool]]:
    return [(found["name"], found["automatic"]) for found in device.call("GET", "/available-versions.json").json()]


def test_available_are_the_version_that_the_current_one_leads_to_and_the_target(shop):
    device = shop.device()
    assert _available(device) == []
    third = shop.version("3", publish=True, update_performed_by_thing=False)
    second = shop.version("2")
    first = shop.version("1", update_to_version=second.id, update_automatic=True)
    assert _available(device) == [("3", False)], "nothing confirmed yet: the target"
    device.call("PUT", "/version.json", {"id": first.id})
    assert _available(device) == [("2", True), ("3", False)]
    shop.vendor.change_version(first.id, update_to_version=third.id)
    assert _available(device) == [("3", True)]
    shop.vendor.change_version(first.id, update_automatic=False)
    assert _available(device) == [("3", False)]
    shop.vendor.change_version(third.id, update_performed_by_thing=True)
    assert _available(device) == [("3", True)]
    device.call("PUT", "/version.json", {"id": third.id})
    assert _available(device) == []


def test_a_version_can_not_lead_to_itself_or_out_of_its_template(shop, make_shop, refused):
    version, other = shop.version("1"), make_shop(shop.server, shop.http)
    path = f"/versions/{version.id}.json"
    refused(_vendor_call(shop, "PATCH", path, {"updateToVersion": version.id}), 409, "same_version")
    refused(_vendor_call(shop, "PATCH", path, {"updateToVersion": other.version("1").id}), 409, "wrong_template")
    changed = _vendor_call(shop, "PATCH", path, {"updateToVersion": shop.version("2").id, "description": "x"}).json()
    assert changed["updateToVersion"] and changed["description"] == "x"
    assert _vendor_call(shop, "PATCH", path, {"updateToVersion": None}).json()["updateToVersion"] is None
    other.vendor.close()


@pytest.mark.parametrize("use", ["published", "targeted", "run", "led to"])
def test_a_version_in_use_is_not_deleted(shop, refused, use):
    version = shop.version("1")
    device = shop.device()
    if use == "published":
        shop.vendor.publish(version.id)
    elif use == "targeted":
        shop.vendor.change_serial(device.number, target_version=version.id)
    elif use == "run":
        device.call("PUT", "/version.json", {"id": version.id})
    else:
        shop.version("0", update_to_version=version.id)
    refused(_vendor_call(shop, "DELETE", f"/versions/{version.id}.json"), 409, "in_use")
    assert device.call("GET", f"/v1/versions/{version.id}/firmware.bin").status_code == 200


def test_a_version_that_nothing_uses_is_deleted_with_its_firmware(shop, refused):
    version = shop.version("1")
    file = shop.server.settings.data_dir / "firmware" / f"{version.id}.bin"
    assert file.exists()
    assert _vendor_call(shop, "DELETE", f"/versions/{version.id}.json").status_code == 204
    assert not file.exists()
    refused(_vendor_call(shop, "GET", f"/versions/{version.id}.json"), 404)
    assert shop.version("1").id != version.id
