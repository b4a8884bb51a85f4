"""Answers and refusals as the page at /docs describes them."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from thermokeeper.contract.schemas import ErrorBody

Responses = dict[int | str, dict[str, Any]]  # of FastAPI


def document(model: type[BaseModel], description: str) -> dict[str, Any]:
    """An entry of `Responses`."""
    return {"model": model, "description": description}


def refusal(description: str) -> dict[str, Any]:
    return document(ErrorBody, description)


def refusals_of(usual: Mapping[int, str]) -> Callable[..., Responses]:
    """For a module: its refusals by their statuses, as `usual` describes them; `s404="..."` replaces a description."""

    def refusals(*statuses: int, **other: str) -> Responses:
        return {status: refusal(other.get(f"s{status}", usual[status])) for status in statuses}

    return refusals


TOO_MANY_TRIES: Responses = {
    429: {
        **refusal("too many tries"),
        "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}},
    }
}
