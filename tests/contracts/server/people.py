"""Owners with accounts in a shop, and what the server refuses them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from thermokeeper.client.calls import OwnerClient
from thermokeeper.client.connection import Refused


class Person(OwnerClient):
    """An owner with an account in the shop."""

    def __init__(self, shop: Any) -> None:
        account = shop.owner()
        super().__init__(shop.server.url, account.token)
        self.id, self.name, self.token = account.id, account.name, account.token


def refusal_of(call: Callable[..., object], *arguments: object, **more: object) -> tuple[int, str]:
    """The status and code that a call of a client is refused with."""
    with pytest.raises(Refused) as refused:
        call(*arguments, **more)
    return refused.value.status, refused.value.code
