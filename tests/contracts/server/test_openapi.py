"""The page at /docs is the contract: it must be there without the Internet, be valid, and say all."""

import re

import pytest


@pytest.fixture(scope="module")
def document(http):
    return http.get("/openapi.json").json()


def _operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_every_path_of_the_contract_is_there(document):
    paths = {(method.upper(), path) for method, path, _ in _operations(document)}
    thing = "/v1/things/{thing_id}"
    assert paths >= {
        ("POST", "/v1/provision/activate.json"),
        ("PUT", "/v1/things/activate/{serial}.json"),
        ("POST", "/v1/things.json"),
        ("GET", f"{thing}/target-version.json"),
        ("GET", f"{thing}/version.json"),
        ("PUT", f"{thing}/version.json"),
        ("GET", f"{thing}/available-versions.json"),
        ("GET", "/v1/versions/{version_id}/firmware.json"),
        ("GET", "/v1/versions/{version_id}/firmware.bin"),
        ("PUT", f"{thing}.json"),
        ("POST", f"{thing}/events/{{event}}/datapoints.json"),
        ("GET", f"{thing}/properties/{{name}}/value.json"),
        ("PUT", f"{thing}/properties/{{name}}/value.json"),
    }


def test_an_answer_is_not_said_to_be_two_kinds_at_once(document):
    for method, path, operation in _operations(document):
        for status, response in operation["responses"].items():
            for content in response.get("content", {}).values():
                assert not {"$ref", "type"} <= set(content.get("schema", {})), (method, path, status)


def test_every_reference_leads_somewhere(document):
    def walk(node):
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for inner in node.values():
                yield from walk(inner)
        elif isinstance(node, list):
            for inner in node:
                yield from walk(inner)

    references = set(walk(document))
    assert references
    for reference in references:
        target = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def test_every_call_has_summary_tag_unique_id_and_security(document):
    ids = []
    schemes = {"devices": "device", "dms": "dms", "vendors": "vendor", "owners": "owner"}
    for method, path, operation in _operations(document):
        assert operation["summary"], path
        (tag,) = operation["tags"]
        ids.append(operation["operationId"])
        open_to_all = (method, path) in {
            ("post", "/v1/provision/activate.json"),
            ("put", "/v1/things/activate/{serial}.json"),
            ("post", "/v1/provision/challenge.json"),
            ("post", "/dms/v1/provision"),
        }
        expected = [{schemes[tag]: []}] if tag in schemes and not open_to_all else []
        assert operation.get("security", []) == expected, (method, path)
        for name in re.findall(r"{(\w+)}", path):
            assert any(item["name"] == name and item["in"] == "path" for item in operation["parameters"])
    assert len(set(ids)) == len(ids)
    assert {tag["name"] for tag in document["tags"]} == {"devices", "dms", "vendors", "owners", "server"}


def test_refusals_are_documented_in_our_form_and_fastapis_are_not(document):
    for method, path, operation in _operations(document):
        for status, response in operation["responses"].items():
            assert status != "422"
            assert response["description"], (method, path, status)
            if status == "default" or int(status) >= 400:
                media_type = "application/msgpack" if path.startswith("/dms/") else "application/json"
                schema = response["content"][media_type]["schema"]
                assert schema == {"$ref": "#/components/schemas/ErrorBody"}, (method, path, status)
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_documented_answers_of_a_device_are_those_it_gets(document, shop):
    version = shop.version("1", publish=True)
    device = shop.device()
    device.call("PUT", "/properties/p/value.json", {"value": 1})
    calls = [
        ("GET", "/target-version.json", None),
        ("PUT", "/version.json", {"id": version.id}),
        ("GET", "/version.json", None),
        ("GET", "/available-versions.json", None),
        ("PUT", ".json", {"name": "N"}),
        ("GET", "/properties/{name}/value.json", None),
    ]
    for method, path, body in calls:
        response = device.call(method, path.format(name="p"), body)
        schema = document["paths"][f"/v1/things/{{thing_id}}{path}"][method.lower()]["responses"]["200"]
        schema = schema["content"]["application/json"]["schema"]
        items, schema = (response.json(), schema["items"]) if "items" in schema else ([response.json()], schema)
        declared = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        for item in items:
            assert set(declared.get("required", [])) <= set(item) <= set(declared["properties"])


def test_messagepack_is_documented_with_what_it_holds(document):
    bodies = []
    for method, path, operation in _operations(document):
        if not path.startswith("/dms/"):
            continue
        if "requestBody" in operation:
            ((media_type, content),) = operation["requestBody"]["content"].items()
            assert media_type == "application/msgpack"
            schema = content["schema"]
            assert schema.get("properties") or "$ref" in schema["items"], path
            bodies.append((method, path))
        for status, response in operation["responses"].items():
            if status == "200" and "version_id" not in path:
                ((media_type, content),) = response["content"].items()
                assert media_type == "application/msgpack" and "$ref" in content["schema"]
            if status == "204":
                assert "content" not in response
    assert len(bodies) == 6


def test_the_page_needs_nothing_from_outside(http):
    page = http.get("/docs")
    assert page.status_code == 200
    assert "//" not in re.sub(r"//[^\n]*", "", page.text.split("<script>")[0]), "an address in the page"
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) == 3
    for asset in assets:
        assert asset.startswith("/docs/assets/")
        response = http.get(asset)
        assert response.status_code == 200 and len(response.content) > 1000
    assert '"validatorUrl": null' in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'self'")


def test_a_page_asset_that_is_not_there(http, refused):
    refused(http.get("/docs/assets/none.js"), 404, "not_found")
    refused(http.get("/docs/assets/../../x"), 404)
