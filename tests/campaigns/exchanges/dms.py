"""The same life with a DMS: provisioned with a token of its own, claimed before its first start, activated, updated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from exchanges.life import Life
from thermokeeper.contract.dms_uuid import uuid_of


class DmsLife(Life):
    """A board that the server knows by its uuid. Its token is used once, whatever becomes of the answers."""

    clean_activations = 1
    key_header = "authorization"

    def __init__(self, *what: Any, **options: Any) -> None:
        super().__init__(*what, **options)
        self._number = uuid_of(self._serial)
        self._token = ""

    def _registered(self) -> dict[str, str]:
        ids = super()._registered()
        self._token = self._service.claimed(self._number)
        return ids

    def _credentials(self) -> dict[str, str]:
        return {"service": "gecko_dms", "token": self._token}

    def _robbed(self) -> None:
        """Nobody can be: with a token that is spent nothing is to be had."""

    def _judge_standing(self, wrong: Callable[[str], None], thing: str) -> None:
        record = self._stored("dms")
        if (record.get("thing"), record.get("named"), record.get("product")) != (thing, thing, "thermometer"):
            wrong(f"takes itself for {record.get('thing')}, named {record.get('named')}, of {record.get('product')}")
        if not record.get("acked") or "token" in record or "wanted" in record:
            wrong(f"has kept {sorted(record)}")
        answer = httpx.get(
            f"{self._service.url}/dms/v1/firmware",
            headers={"Authorization": f"Bearer {record.get('credential')}"},
            verify=False,
        )
        if answer.status_code != 200:
            wrong(f"its credential isn't good: {answer.status_code}")
        taken, acknowledged = self._service.uses_of_token(self._number)
        if (taken, acknowledged) != (1, 1):
            wrong(f"its token was used {taken} times, and acknowledged {acknowledged} times")
