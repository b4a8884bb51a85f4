"""A bounded run of `make fuzz`, always with the same calls; and that it would find what it looks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fuzz.campaign import faults_of, operations
from fuzz.scene import Scene, scene
from thermokeeper.server.http import observed
from thermokeeper.server.refusals import ApiError
from thermokeeper.server.vendor import fleet

_SEED = 20261121
_EXAMPLES = 60  # of each call

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("fuzz")) as made:
        yield made


@pytest.mark.parametrize("tag", ["devices", "dms", "vendors", "owners", "server"])
def test_the_server_answers_as_its_document_says(found: Scene, tag: str) -> None:
    """No 5xx, no status that the document hasn't got, no answer against its schema."""
    of_tag = [operation for operation in operations(found) if operation.tags == [tag]]
    assert of_tag
    faults = [fault for operation in of_tag for fault in faults_of(found, operation, _EXAMPLES, _SEED)]
    assert not faults, "\n\n".join(faults)


def _fails(*_: Any) -> Any:
    raise RuntimeError("as a fault of the program would")


def _refuses(*_: Any) -> Any:
    raise ApiError(418, "teapot", "it is one")


# what is broken, and what the campaign has to say of `GET /v1/vendor/things/{thing_id}.json`
BROKEN: dict[str, tuple[Any, str, Any, str]] = {
    "a call that fails": (fleet, "_thing_json", _fails, "the server failed"),
    "a status that nobody documented": (
        fleet,
        "find_thing",
        _refuses,
        "doesn't know status 418",
    ),
    "no id of the call": (observed, "HEADER", b"x-other-id", "no X-Request-Id"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_campaign_finds_what_is_broken(found: Scene, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, what, instead, said = BROKEN[name]
    monkeypatch.setattr(where, what, instead)
    (operation,) = (one for one in operations(found) if one.label == "GET /v1/vendor/things/{thing_id}.json")
    faults = faults_of(found, operation, 20, _SEED)
    assert faults and said in faults[0]


def test_the_campaign_finds_an_answer_against_its_schema(found: Scene) -> None:
    (operation,) = (one for one in operations(found) if one.label == "GET /healthz")
    schema = operation.definition.raw["responses"]["200"]["content"]["application/json"]["schema"]
    schema["required"] = ["mood"]
    assert "not what the document says" in faults_of(found, operation, 4, _SEED)[0]
