"""The calls for what a thing measured, the same for the vendor and an owner."""

from collections.abc import Iterator
from datetime import datetime

from thermokeeper.client.connection import Connection
from thermokeeper.contract import schemas
from thermokeeper.contract.times import format_time


class ReadingCalls(Connection):
    """A thing is named by what `_thing_path` takes. Only what was measured from `since` on, or before `until`."""

    def _thing_path(self, which: str) -> str:
        raise NotImplementedError

    def datapoints(
        self,
        which: str,
        event: str | None = None,
        limit: int | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[schemas.Datapoint]:
        """Last arrived first; with a time, last measured first."""
        path = f"{self._thing_path(which)}/datapoints.json"
        return self._pages(schemas.Datapoint, path, limit, **_filters(event, since, until))

    def hours(
        self,
        which: str,
        event: str | None = None,
        limit: int | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[schemas.ReadingHour]:
        """What hours come to, last first; they stay when the datapoints go."""
        path = f"{self._thing_path(which)}/hours.json"
        return self._pages(schemas.ReadingHour, path, limit, **_filters(event, since, until))

    def datapoints_csv(
        self,
        which: str,
        event: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[bytes]:
        """All of them as CSV, first measured first, in pieces as they come."""
        return self._stream(f"{self._thing_path(which)}/datapoints.csv", **_filters(event, since, until))


def _filters(event: str | None, since: datetime | None, until: datetime | None) -> dict[str, str | None]:
    times = {"from": since, "to": until}
    return {"event": event} | {name: None if at is None else format_time(at) for name, at in times.items()}
