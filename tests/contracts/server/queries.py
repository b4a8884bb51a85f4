"""The queries that a server makes, watched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

GROWING = (
    "things",
    "serials",
    "datapoints",
    "readings",
    "property_values",
    "dms_devices",
    "dms_token_uses",
    "audit",
    "update_failures",
    "reading_hours",
    "vendor_tokens",
)
# Where a step "scans" it: the rows of a list in its index's order, until the page is full.
IN_ORDER = ("USING INDEX", "USING COVERING INDEX")
OF_MANY = re.compile(r"\((product_id|template_id|target_version_id|current_version_id)=\?\)")


class Queries:
    """The SELECTs that a server made while it was watched, with their parameters, each text once."""

    def __init__(self) -> None:
        self.seen: dict[str, Any] = {}
        self.count = 0

    def heard(self, _connection, _cursor, statement: str, parameters: Any, *_more: Any) -> None:
        self.count += 1
        if statement.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE")):
            self.seen.setdefault(statement, parameters)

    def plans(self, engine: Engine, part: str) -> list[str]:
        """The steps of those statements that have this part."""
        with engine.connect() as connection:
            return [
                row[3]
                for statement, parameters in self.seen.items()
                if part in statement
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            ]

    def walks(self, engine: Engine) -> list[str]:
        """Steps that look at each row of a table that grows, or at all that belong to one product, owner or version."""
        found = []
        with engine.connect() as connection:
            for statement, parameters in self.seen.items():
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                for step in (row[3] for row in plan):
                    walked = step.startswith("SCAN ") and step.split()[1] in GROWING
                    if (walked and not any(way in step for way in IN_ORDER)) or OF_MANY.search(step):
                        found.append(f"{step}: {statement}")
        return found

    def sorts(self, engine: Engine) -> list[str]:
        """Steps that sort rows which no index has in the order that is asked for: all of them, for a page of a few."""
        with engine.connect() as connection:
            return [
                f"{row[3]}: {statement}"
                for statement, parameters in self.seen.items()
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                if "TEMP B-TREE" in row[3] or (row[3].startswith("SCAN ") and "INDEX" not in row[3])
            ]


@contextmanager
def watched() -> Iterator[Queries]:
    queries = Queries()
    event.listen(Engine, "before_cursor_execute", queries.heard)
    try:
        yield queries
    finally:
        event.remove(Engine, "before_cursor_execute", queries.heard)
