"""What a device may call: every path, every status code of the contract."""

import re

import pytest

NOBODY = "0" * 32
CALLS = [
    ("GET", "/target-version.json", None),
    ("GET", "/version.json", None),
    ("PUT", "/version.json", {"id": NOBODY}),
    ("GET", "/available-versions.json", None),
    ("PUT", ".json", {"name": "Name"}),
    ("POST", "/events/temperature/datapoints.json", [{"value": 1}]),
    ("GET", "/properties/period/value.json", None),
    ("PUT", "/properties/period/value.json", {"value": 1}),
]
FIRMWARE = ["firmware.json", "firmware.bin"]


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_without_a_key_or_with_a_wrong_one_nothing_opens(shop, refused, method, path, body):
    device = shop.device()
    for key in ("", "0" * 32, device.key[:-1], device.key.upper() + "x", "ä", device.thing):
        response = device.call(method, path, body, headers={"X-ApiKey": key.encode("latin-1")})
        refused(response, 401, "unauthorized")
        assert "X-ApiKey" in response.headers["www-authenticate"]
    url = f"/v1/things/{device.thing}{path}"
    refused(shop.http.request(method, url, json=body), 401, "unauthorized")
    refused(shop.http.request(method, f"/v1/things/{NOBODY}{path}", json=body), 401, "unauthorized")


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_a_key_is_for_one_thing(shop, refused, method, path, body):
    device, other = shop.device(), shop.device()
    refused(device.call(method, f"/v1/things/{other.thing}{path}", body), 403, "wrong_thing")
    for nobody in (NOBODY, "x", "a%00b", "%ff"):
        refused(device.call(method, f"/v1/things/{nobody}{path}", body), 404, "no_such_thing")
    assert shop.vendor.thing(other.thing).name != "Name"


@pytest.mark.parametrize("file", FIRMWARE)
def test_firmware_needs_a_key_and_a_version_of_the_things_template(shop, make_shop, refused, file):
    device, version = shop.device(), shop.version("1")
    url = f"/v1/versions/{version.id}/{file}"
    refused(shop.http.get(url), 401, "unauthorized")
    refused(device.call("GET", f"/v1/versions/{NOBODY}/{file}"), 404, "not_found")
    refused(device.call("GET", f"/v1/versions/{shop.version('2', None).id}/{file}"), 404, "not_found")
    other = make_shop(shop.server, shop.http)
    refused(other.device().call("GET", url), 403, "forbidden")
    other.vendor.close()
    assert device.call("GET", url).status_code == 200


def test_target_and_current_version_are_204_until_there_is_one(shop):
    device = shop.device()
    for path in ("/target-version.json", "/version.json"):
        response = device.call("GET", path)
        assert (response.status_code, response.content) == (204, b"")
    version = shop.version("1", description="The first", publish=True)
    expected = {"id": version.id, "name": "1", "description": "The first"}
    response = device.call("GET", "/target-version.json")
    assert (response.status_code, response.json()) == (200, expected)
    for _ in range(2):  # confirming may be repeated
        response = device.call("PUT", "/version.json", {"id": version.id})
        assert (response.status_code, response.json()) == (200, expected)
    assert device.call("GET", "/version.json").json() == expected
    confirmed = shop.vendor.thing(device.thing).version_confirmed
    device.call("PUT", "/version.json", expected)
    assert shop.vendor.thing(device.thing).version_confirmed == confirmed, "the same again changes nothing"


def test_switching_to_a_version_that_is_not_there_or_not_its_own(shop, make_shop, refused):
    device = shop.device()
    for wrong in (NOBODY, "", "x" * 64, "a\0b"):
        refused(device.call("PUT", "/version.json", {"id": wrong}), 404, "not_found")
    other = make_shop(shop.server, shop.http)
    refused(device.call("PUT", "/version.json", {"id": other.version("1").id}), 409, "wrong_template")
    other.vendor.close()
    for body in ({}, {"id": 5}, {"id": None}, [], "x", {"id": "x" * 65}):
        refused(device.call("PUT", "/version.json", body), 400, "bad_request")
    assert device.call("GET", "/version.json").status_code == 204


def test_a_thing_takes_a_name(shop):
    device = shop.device()
    for name in ("ThermometerDevice", "Küche 2 🌡", "x" * 64, "x"):
        response = device.call("PUT", ".json", {"name": name})
        assert response.status_code == 200
        answer = response.json()
        assert (answer["id"], answer["name"], answer["serialNumber"]) == (device.thing, name, device.number)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", answer["created"])
    assert shop.vendor.thing(device.thing).name == "x"


@pytest.mark.parametrize("name", ["", " ", " x", "x ", "x\n", "a\0b", "x" * 65, "\x1b[31m", "\u202e", None, 5, ["x"]])
def test_a_name_that_is_not_allowed_is_refused(shop, refused, name):
    device = shop.device()
    refused(device.call("PUT", ".json", {"name": name}), 400, "bad_request")
    assert shop.vendor.thing(device.thing).name.startswith("Thermometer ")


def test_a_property_is_there_once_it_is_set(shop, refused):
    device = shop.device()
    refused(device.call("GET", "/properties/period/value.json"), 404, "not_found")
    for value in (30, -1.5, "text", "Ü", True, False, None, 2**63 - 1, "x" * 1024):
        response = device.call("PUT", "/properties/period/value.json", {"value": value})
        assert (response.status_code, response.content) == (204, b"")
        response = device.call("GET", "/properties/period/value.json")
        assert (response.status_code, response.json()["value"]) == (200, value)
        assert type(response.json()["value"]) is type(value)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", "{}", "[1]", '"' + "x" * 1025 + '"', '"\\ud800"'])
def test_a_property_value_that_can_not_be_kept_is_refused(shop, refused, value):
    device = shop.device()
    content = f'{{"value": {value}}}'
    refused(device.call("PUT", "/properties/period/value.json", content=content), 400, "bad_request")


def test_a_long_property_value_is_too_large(shop, refused):
    device = shop.device()
    content = '{"value": "' + "\\u00fc" * 1024 + '"}'  # stored escaped: 6 KiB
    refused(device.call("PUT", "/properties/p/value.json", content=content), 413, "too_large")


@pytest.mark.parametrize("word", ["a b", "%C3%BC", "-x", "x" * 65, "a%00"])
def test_names_of_events_and_properties_are_plain_words(shop, refused, word):
    device = shop.device()
    refused(device.call("GET", f"/properties/{word}/value.json"), 400)
    refused(device.call("PUT", f"/properties/{word}/value.json", {"value": 1}), 400)
    refused(device.call("POST", f"/events/{word}/datapoints.json", []), 400)


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/things", "/v1/things//version.json", "/nope", "/v1/provision/activate.json/"]
)
def test_a_path_that_is_not_there(http, refused, path):
    if path != "/":
        refused(http.get(path), 404, "not_found")
    else:
        assert http.get(path).headers["location"] == "/docs"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/provision/activate.json", "POST"),
        ("DELETE", f"/v1/things/{NOBODY}.json", "PUT"),
        ("PATCH", f"/v1/versions/{NOBODY}/firmware.bin", "GET"),
        ("PROPFIND", "/healthz", "GET"),
    ],
)
def test_a_method_that_a_path_does_not_take(http, refused, method, path, allowed):
    response = http.request(method, path)
    refused(response, 405, "method_not_allowed")
    assert allowed in response.headers["allow"]


def test_allow_names_each_method_of_a_path(http):
    for path, methods in (
        (f"/v1/things/{NOBODY}/version.json", "GET, PUT"),  # of two routes
        (f"/v1/versions/{NOBODY}/firmware.bin", "GET, HEAD"),
        ("/healthz", "GET, HEAD"),
    ):
        assert http.request("PATCH", path).headers["allow"] == methods


@pytest.mark.parametrize("path", ["/healthz", "/docs"])
def test_head_is_get_without_a_body(http, path):
    head, get = http.head(path), http.get(path)
    assert (head.status_code, head.content) == (200, b"") and get.content
    assert head.headers["content-type"] == get.headers["content-type"]


def test_a_failure_of_the_server_is_500_in_the_same_form(shop, refused):
    device, version = shop.device(), shop.version("1")
    (file,) = shop.server.settings.data_dir.glob(f"firmware/{version.id}.bin")
    file.write_bytes(b"short")
    for path in FIRMWARE:
        message = refused(device.call("GET", f"/v1/versions/{version.id}/{path}"), 500, "internal")
        assert str(file) not in message
    file.unlink()
    refused(device.call("GET", f"/v1/versions/{version.id}/firmware.bin"), 500, "internal")


def test_health(http):
    assert http.get("/healthz").json() == {"status": "ok"}
