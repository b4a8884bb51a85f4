"""The vendor's side: what it makes and lists, and how bad input is refused."""

from urllib.parse import urlencode

import pytest

from thermokeeper.client.calls import VendorClient
from thermokeeper.client.commands.support import cell
from thermokeeper.client.connection import Refused
from thermokeeper.errors import ToolError

NOBODY = "0" * 32
CALLS = [
    ("POST", "/templates.json"),
    ("GET", "/templates.json"),
    ("GET", f"/templates/{NOBODY}.json"),
    ("DELETE", f"/templates/{NOBODY}/target-version.json"),
    ("POST", f"/templates/{NOBODY}/versions.json"),
    ("GET", f"/templates/{NOBODY}/versions.json"),
    ("GET", f"/versions/{NOBODY}.json"),
    ("PATCH", f"/versions/{NOBODY}.json"),
    ("DELETE", f"/versions/{NOBODY}.json"),
    ("PUT", f"/versions/{NOBODY}/firmware.bin"),
    ("POST", f"/versions/{NOBODY}/publish.json"),
    ("GET", f"/templates/{NOBODY}/failures.json"),
    ("GET", f"/versions/{NOBODY}/failures.json"),
    ("POST", "/products.json"),
    ("GET", "/products.json"),
    ("GET", "/products/nothing.json"),
    ("PATCH", "/products/nothing.json"),
    ("POST", "/products/nothing/keys.json"),
    ("GET", "/products/nothing/keys.json"),
    ("DELETE", "/products/nothing/keys/0123456789abcdef.json"),
    ("POST", "/products/nothing/serials.json"),
    ("POST", "/products/nothing/serials/batch.json"),
    ("GET", "/products/nothing/serials.json"),
    ("GET", "/serials/nothing.json"),
    ("PATCH", "/serials/nothing.json"),
    ("POST", "/serials/nothing/block.json"),
    ("POST", "/serials/nothing/unblock.json"),
    ("GET", "/things.json"),
    ("GET", f"/things/{NOBODY}.json"),
    ("GET", f"/things/{NOBODY}/datapoints.json"),
    ("GET", f"/things/{NOBODY}/datapoints.csv"),
    ("GET", f"/things/{NOBODY}/hours.json"),
    ("POST", "/owners.json"),
    ("GET", "/owners.json"),
    ("POST", "/dms/tokens.json"),
    ("GET", "/dms/tokens.json"),
    ("POST", f"/dms/tokens/{NOBODY}/revoke.json"),
    ("GET", "/dms/devices.json"),
    ("GET", "/dms/devices/nothing.json"),
    ("GET", f"/owners/{NOBODY}/products.json"),
    ("PUT", f"/owners/{NOBODY}/products/nothing.json"),
    ("DELETE", f"/owners/{NOBODY}/products/nothing.json"),
    ("GET", "/account.json"),
    ("POST", "/accounts.json"),
    ("GET", "/accounts.json"),
    ("PATCH", f"/accounts/{NOBODY}.json"),
    ("POST", f"/accounts/{NOBODY}/tokens.json"),
    ("GET", f"/accounts/{NOBODY}/tokens.json"),
    ("POST", f"/account-tokens/{NOBODY}/revoke.json"),
    ("GET", "/audit.json"),
    ("PUT", f"/things/{NOBODY}/owner.json"),
    ("DELETE", f"/things/{NOBODY}/owner.json"),
    ("DELETE", f"/things/{NOBODY}/datapoints.json"),
    ("DELETE", f"/things/{NOBODY}.json"),
    ("DELETE", "/dms/devices/nothing/owner.json"),
    ("POST", f"/owners/{NOBODY}/token/renew.json"),
    ("POST", f"/owners/{NOBODY}/token/revoke.json"),
    ("DELETE", f"/owners/{NOBODY}.json"),
    ("POST", "/serials/nothing/retire.json"),
    ("POST", "/products/nothing/retire.json"),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_every_call_needs_the_vendors_token(shop, refused, method, path):
    device = shop.device()
    for headers in ({}, {"X-VendorToken": "x"}, {"X-VendorToken": device.key}, {"X-ApiKey": shop.server.vendor_token}):
        refused(shop.http.request(method, f"/v1/vendor{path}", headers=headers), 401, "unauthorized")


def test_the_list_of_calls_is_whole(http):
    found = {
        (
            method.upper(),
            path.removeprefix("/v1/vendor").format(
                **dict.fromkeys(
                    ("template_id", "version_id", "thing_id", "token_id", "owner_id", "account_id"), NOBODY
                ),
                **dict.fromkeys(("code", "number", "uuid"), "nothing"),
                key_id="0123456789abcdef",
            ),
        )
        for path, methods in http.get("/openapi.json").json()["paths"].items()
        for method in methods
        if path.startswith("/v1/vendor/")
    }
    assert found == set(CALLS)


BODIES = {
    "/templates.json": {"name": "T"},
    "/products.json": {"code": "p", "name": "P", "defaultTemplate": NOBODY},
    f"/templates/{NOBODY}/versions.json": {"name": "1"},
    "/products/nothing/keys.json": {"key": "a public key"},
    f"/accounts/{NOBODY}/tokens.json": {"name": "laptop"},
    "/products/nothing/serials.json": {"serialNumber": "S"},
    "/products/nothing/serials/batch.json": {"serials": [{"serialNumber": "S"}]},
    f"/things/{NOBODY}/owner.json": {"owner": NOBODY},
}


@pytest.mark.parametrize(("method", "path"), [call for call in CALLS if NOBODY in call[1] or "nothing" in call[1]])
def test_what_is_not_there_is_404_whatever_its_name(shop, refused, method, path):
    headers = {"X-VendorToken": shop.server.vendor_token}
    for name in (NOBODY, "x", "%00", "%ff", "%F0%9F%8C%A1", "x" * 300):
        url = f"/v1/vendor{path}".replace(NOBODY, name).replace("nothing", name)
        body = BODIES.get(path) if method in ("POST", "PUT") else {} if method == "PATCH" else None
        refused(shop.http.request(method, url, json=body, headers=headers), 404, "not_found")


def _call(shop, method: str, path: str, body: object = None, **options):
    headers = {"X-VendorToken": shop.server.vendor_token}
    return shop.http.request(method, f"/v1/vendor{path}", json=body, headers=headers, **options)


@pytest.mark.parametrize(
    ("path", "change"),
    [
        *(("/templates.json", {"name": name}) for name in ("", " x", "x\n", "x" * 65, None, 5)),
        ("/templates.json", {"nmae": "x"}),
        ("/templates.json", {"description": "x" * 1001}),
        ("/templates.json", {"description": "\x1b"}),
        *(("/products.json", {"code": code}) for code in ("", "a b", "-x", "x" * 33, "a/b", None)),
        ("/products.json", {"name": "x" * 49}),
        *(("/products.json", {"defaultTemplate": id_}) for id_ in ("x", NOBODY.replace("0", "A"), None)),
        *((f"/templates/{NOBODY}/versions.json", {"name": name}) for name in ("", "a/b", "x" * 33)),
        (f"/templates/{NOBODY}/versions.json", {"prototype": "perhaps"}),
        (f"/templates/{NOBODY}/versions.json", {"updateToVersion": "x"}),
        *(("/products/nothing/serials.json", {"serialNumber": number}) for number in ("", "a b", "ü", "x" * 65, "x\n")),
        ("/products/nothing/serials.json", {"status": "blocked"}),
        ("/products/nothing/serials/batch.json", {"serials": []}),
        ("/products/nothing/serials/batch.json", {"serials": [{"serialNumber": "S"}, {"serialNumber": ""}]}),
    ],
)
def test_bad_input_is_refused(shop, refused, path, change):
    refused(_call(shop, "POST", path, {**BODIES[path], **change}), 400, "bad_request")


def test_what_is_there_already_is_409(shop, refused):
    shop.version("1")
    number = shop.serial()
    refused(_call(shop, "POST", "/templates.json", {"name": shop.template.name}), 409, "exists")
    refused(_call(shop, "POST", f"/templates/{shop.template.id}/versions.json", {"name": "1"}), 409, "exists")
    product = {"code": shop.tag, "name": "x", "defaultTemplate": shop.template.id}
    refused(_call(shop, "POST", "/products.json", product), 409, "exists")
    refused(_call(shop, "POST", f"/products/{shop.tag}/serials.json", {"serialNumber": number}), 409, "exists")
    owner = shop.owner()
    refused(_call(shop, "POST", "/owners.json", {"name": owner.name}), 409, "exists")


def test_a_batch_of_serial_numbers_is_added_whole_or_not_at_all(shop, refused):
    path = f"/products/{shop.tag}/serials/batch.json"

    def batch(*numbers: str) -> dict[str, object]:
        return {"serials": [{"serialNumber": f"{number}-{shop.tag}"} for number in numbers]}

    response = _call(shop, "POST", path, batch("a", "b"))
    assert (response.status_code, response.json()) == (201, {"added": 2})
    assert "b-" in refused(_call(shop, "POST", path, batch("c", "b", "d")), 409, "exists")
    refused(_call(shop, "POST", path, batch("c", "c")), 400)
    refused(_call(shop, "POST", path, batch(*map(str, range(21)))), 413, "too_large")
    assert [row.serial_number[0] for row in shop.vendor.serials(shop.tag)] == ["a", "b"]


def test_serial_numbers_are_listed_by_status_and_in_pages(shop):
    shop.vendor.add_serials(shop.tag, [f"{index:02}-{shop.tag}" for index in range(12)])
    active, blocked = shop.device(), shop.device()
    shop.vendor.block(blocked.number)
    shop.vendor.block(f"00-{shop.tag}")
    by_status = {
        status: [row.serial_number for row in shop.vendor.serials(shop.tag, status)]
        for status in ("new", "active", "blocked")
    }
    assert len(by_status["new"]) == 11
    assert by_status["active"] == [active.number]
    assert by_status["blocked"] == [f"00-{shop.tag}", blocked.number]
    first = _call(shop, "GET", f"/products/{shop.tag}/serials.json", params={"limit": 13}).json()
    second = _call(
        shop, "GET", f"/products/{shop.tag}/serials.json", params={"limit": 13, "after": first["next"]}
    ).json()
    assert (len(first["items"]), len(second["items"]), second["next"]) == (13, 1, None)


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"after": "x" * 65}])
def test_a_bad_query_is_refused(shop, refused, query):
    for path in ("/things.json", "/templates.json", "/products.json", "/owners.json"):
        refused(_call(shop, "GET", path, params=query), 400, "bad_request")
    refused(_call(shop, "GET", f"/templates/{shop.template.id}/versions.json", params=query), 400, "bad_request")
    refused(_call(shop, "GET", f"/products/{shop.tag}/serials.json", params=query), 400)


def test_a_bad_query_for_datapoints_is_refused(shop, refused):
    path = f"/things/{shop.device().thing}/datapoints.json"
    for query in ({"after": "x"}, {"after": "-1"}, {"event": "a b"}, {"after": "9" * 30}, {"limit": "0"}):
        refused(_call(shop, "GET", path, params=query), 400, "bad_request")
    refused(_call(shop, "GET", f"/products/{shop.tag}/serials.json", params={"status": "lost"}), 400)


def test_a_thing_shows_what_the_server_knows(shop):
    device = shop.device()
    version = shop.version("1", publish=True)
    device.call("PUT", "/version.json", {"id": version.id})
    device.post_points([{"value": 21.5}])
    device.activate()
    thing = shop.vendor.thing(device.number)
    assert thing == shop.vendor.thing(device.thing)
    assert thing in list(shop.vendor.things())
    assert (thing.serial_number, thing.product, thing.status, thing.owner) == (device.number, shop.tag, "active", None)
    assert thing.current_version and thing.target_version
    assert (thing.current_version.id, thing.target_version.id) == (version.id, version.id)
    assert thing.last_seen and thing.last_activation and thing.version_confirmed
    assert thing.created <= thing.version_confirmed <= thing.last_activation <= thing.last_seen
    assert thing.activation_count == 2
    assert [(row.event, row.value, row.count) for row in thing.readings] == [("temperature", 21.5, 1)]
    assert thing.properties == []


def test_the_vendor_sees_what_a_thing_says_of_itself(shop):
    device = shop.device()
    device.activate()
    for name, value in (("updateFailure", "2.0.0 (2): watchdog"), ("count", 3), ("count", 4)):
        device.call("PUT", f"/properties/{name}/value.json", {"value": value})
    found = shop.vendor.thing(device.number).properties
    assert [(one.name, one.value) for one in found] == [("count", 4), ("updateFailure", "2.0.0 (2): watchdog")]
    assert all(one.at.tzinfo for one in found)


def test_the_client_says_what_is_wrong_in_one_line(shop, tmp_path):
    vendor = shop.vendor
    with pytest.raises(ToolError, match="there is no template 'x'; there is: "):
        vendor.template("x")
    with pytest.raises(ToolError, match="there is no version 'x'"):
        vendor.version(f"{shop.template.name}/x")
    with pytest.raises(ToolError, match="names no version"):
        vendor.version("x")
    with pytest.raises(ToolError, match="characters that it can't have"):
        vendor.serial("../templates")
    with pytest.raises(ToolError, match="serial_number: "):
        vendor.add_serial(shop.tag, "a b")
    with pytest.raises(ToolError, match="has no thing yet"):
        vendor.thing(shop.serial())
    with pytest.raises(ToolError, match="can't be read"):
        vendor.upload_firmware(shop.version("1", None).id, tmp_path / "none")
    with pytest.raises(Refused, match=r"the server refuses: .* \(409 exists\)") as refused:
        vendor.create_template(shop.template.name)
    assert (refused.value.status, refused.value.code) == (409, "exists")
    with VendorClient(shop.server.url, "wrong-token-0123") as wrong, pytest.raises(Refused, match="401"):
        list(wrong.templates())
    with VendorClient("http://127.0.0.1:1", "x" * 16) as nobody, pytest.raises(ToolError, match="no server at"):
        list(nobody.templates())
    for url in ("127.0.0.1:80", "ftp://127.0.0.1", ""):
        with VendorClient(url, "x" * 16) as nobody, pytest.raises(ToolError, match="no server's address"):
            list(nobody.templates())


def test_an_uploaded_file_is_streamed(shop, tmp_path):
    path = tmp_path / "firmware.bin"
    path.write_bytes(b"x" * 300_000)
    version = shop.vendor.create_version(shop.template.name, "1")
    assert shop.vendor.upload_firmware(f"{shop.template.name}/1", path).firmware_size == 300_000
    assert shop.vendor.version(version.id).firmware_sha256


def test_a_board_s_words_are_shown_as_what_they_are(shop):
    device = shop.device()
    device.activate()
    device.call("PUT", "/properties/status/value.json", {"value": "fine\x1b[2J\u202e\nid   0"})
    assert cell(shop.vendor.thing(device.number).properties[0].value) == "fine\ufffd[2J\ufffd\ufffdid   0"


def _names(shop, path, limit):
    """Of all pages; the second is asked for when the first is known."""
    names, after = [], {}
    while True:
        page = _call(shop, "GET", f"{path}?{urlencode({'limit': limit, **after})}").json()
        assert len(page["items"]) <= limit
        names += [item.get("code") or item["name"] for item in page["items"]]
        if page["next"] is None:
            return names
        after = {"after": page["next"]}


@pytest.mark.parametrize("path", ["/templates.json", "/products.json", "/owners.json"])
def test_lists_are_whole_and_in_order_page_by_page(shop, path):
    for number in range(5):
        shop.vendor.create_template(f"T{number} Ü {shop.tag}")
        shop.vendor.create_product(f"p{number}-{shop.tag}", "P", shop.template.id)
        shop.vendor.create_owner(f"O{number} / {shop.tag}")
    names = _names(shop, path, 2)
    assert names == _names(shop, path, 1000)
    assert len([name for name in names if name.endswith(shop.tag)]) >= 5
    assert len(set(names)) == len(names)
    found = {"/templates.json": shop.vendor.templates, "/products.json": shop.vendor.products}
    call = found.get(path, shop.vendor.owners)
    assert [getattr(row, "code", row.name) for row in call()] == names
    assert len(list(call(limit=3))) == 3


def test_versions_come_oldest_first_page_by_page_even_when_the_last_of_a_page_is_deleted(shop, refused):
    made = [shop.version(name) for name in ("9", "10", "b", "a", "1")]
    path = f"/templates/{shop.template.id}/versions.json"
    assert _names(shop, path, 2) == ["9", "10", "b", "a", "1"]
    page = _call(shop, "GET", f"{path}?limit=2").json()
    shop.vendor.delete_version(made[1].id)
    rest = _call(shop, "GET", f"{path}?{urlencode({'after': page['next']})}").json()
    assert [item["name"] for item in rest["items"]] == ["b", "a", "1"] and rest["next"] is None
    assert [row.name for row in shop.vendor.versions(shop.template.name, limit=2)] == ["9", "b"]
    for wrong in ("x", made[0].id, page["next"][:-1], page["next"].replace("T", "U"), ""):
        refused(_call(shop, "GET", f"{path}?{urlencode({'after': wrong})}"), 400, "bad_request")
