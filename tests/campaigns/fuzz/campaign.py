"""Calls at random by the server's own document, and what is wrong with an answer.

Half of the calls name what is there, so that they get far; the same seed makes the same calls.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import hypothesis
import msgpack
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from fuzz.scene import Scene

MSGPACK = "application/msgpack"
_TIMEOUT_S = 30
_NO_HTTP = b"what was sent isn't a request of HTTP/1.1"  # it was no call: a header had a zero byte, say


@schemathesis.serializer(MSGPACK)
def _packed(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    try:
        packed: bytes = msgpack.packb(value)
    except (TypeError, ValueError, OverflowError):
        return repr(value).encode()  # a number that MessagePack hasn't got: something that is none at all
    return packed


@schemathesis.deserializer(MSGPACK)
def _unpacked(_context: schemathesis.DeserializationContext, response: schemathesis.Response) -> Any:
    return msgpack.unpackb(response.content)


class Fault(AssertionError):
    """What is wrong with an answer, and the call that got it."""


def operations(scene: Scene) -> Iterator[schemathesis.APIOperation]:
    """All calls of the document."""
    loaded = schemathesis.openapi.from_dict(scene.document)
    yield from (found.ok() for found in loaded.get_all_operations())


def faults_of(scene: Scene, operation: schemathesis.APIOperation, examples: int, seed: int) -> list[str]:
    """What is wrong with the answers to so many calls of one kind; the smallest call that shows it."""
    faults = []
    with requests.Session() as session:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    _try(scene, operation, mode, session, examples // 2, seed)
            except (Fault, requests.RequestException) as error:
                faults.append(f"{operation.label}: {error}")
            except hypothesis.errors.Unsatisfiable:
                pass  # there is nothing wrong to be said to a call without parameters
    return faults


def _try(
    scene: Scene,
    operation: schemathesis.APIOperation,
    mode: GenerationMode,
    session: requests.Session,
    examples: int,
    seed: int,
) -> None:
    headers = scene.headers[operation.tags[0]]

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )
    @hypothesis.given(
        case=operation.as_strategy(generation_mode=mode),
        path_is_there=st.booleans(),
        body_is_there=st.booleans(),
        number=st.integers(0, 11),
    )
    def attempt(case: schemathesis.Case, path_is_there: bool, body_is_there: bool, number: int) -> None:
        if path_is_there:
            for name in case.path_parameters or {}:
                case.path_parameters[name] = scene.there(name, number, True) or case.path_parameters[name]
        if body_is_there and isinstance(case.body, dict):
            for name in case.body:
                case.body[name] = scene.there(name, number, False) or case.body[name]
        if number and case.headers is not None:  # else its own key, which is a wrong one
            for name in headers:
                case.headers.pop(name, None)
        response = case.call(base_url=scene.url, session=session, headers=headers, timeout=_TIMEOUT_S)
        if fault := _fault(operation, case, response):
            raise Fault(f"{fault}\n    {case.as_curl_command()}\n    {response.status_code} {response.content[:300]!r}")

    attempt()


def _fault(operation: schemathesis.APIOperation, case: schemathesis.Case, response: schemathesis.Response) -> str:
    """What is wrong with an answer, or nothing."""
    status = response.status_code
    if status >= 500:
        return "the server failed"
    if "x-request-id" not in response.headers:
        return "no X-Request-Id"
    if status == 400 and _NO_HTTP in response.content:
        return ""
    documented = str(status) in operation.definition.raw["responses"]
    if status >= 400:
        error = _error_of(response)
        if error is None:
            return "a refusal that isn't in our form"
        # what any path may be answered with: a name with a slash leads to no call, and bodies have a limit
        documented = documented or (status, error["code"]) in ((404, "not_found"), (413, "too_large"))
    if not documented:
        return f"the document doesn't know status {status} of this call"
    try:
        case.validate_response(response, checks=[content_type_conformance, response_schema_conformance])
    except (Failure, FailureGroup) as failure:
        return f"not what the document says: {failure}"
    return ""


def _error_of(response: schemathesis.Response) -> dict[str, str] | None:
    """The refusal, if it is one as all are: a code, and one line for a person."""
    try:
        packed = response.headers.get("content-type", [""])[0] == MSGPACK
        found = msgpack.unpackb(response.content) if packed else response.json()
        error: dict[str, str] = found["error"]
    except (ValueError, KeyError, TypeError, msgpack.UnpackException):
        return None
    if set(error) != {"code", "message"} or not error["message"] or "\n" in error["message"]:
        return None
    return error
