"""What remains of datapoints: an hour of each event of a thing; and datapoints are found by the time of measurement."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

# the hour, and whether a point's time can be true: see rules/history.py
_SQL = {
    "sqlite": (
        "strftime('%Y-%m-%d %H:00:00.000000', at)",
        "julianday(arrived_at) - julianday(at) <= 31 AND julianday(at) - julianday(arrived_at) <= 1",
    ),
    "postgresql": (
        "date_trunc('hour', at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'",
        "at >= arrived_at - interval '31 days' AND at <= arrived_at + interval '1 day'",
    ),
}


def upgrade() -> None:
    op.create_table(
        "reading_hours",
        sa.Column("thing_id", sa.String(32), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("sum", sa.Float(53), nullable=False),
        sa.Column("least", sa.Float(53), nullable=False),
        sa.Column("most", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("thing_id", "start", "event", name="pk_reading_hours"),
        sa.ForeignKeyConstraint(["thing_id"], ["things.id"], name="fk_reading_hours_thing_id"),
    )
    hour, can_be_true = _SQL[op.get_bind().dialect.name]
    op.execute(
        "INSERT INTO reading_hours (thing_id, start, event, count, sum, least, most) "
        f"SELECT thing_id, {hour}, event, count(*), "
        "sum(CASE WHEN abs(value) < 1e300 THEN value ELSE 0 END), min(value), max(value) FROM datapoints "
        f"WHERE {can_be_true} GROUP BY thing_id, {hour}, event"
    )
    op.create_index("ix_datapoints_thing_id_datapoints_at_datapoints_id", "datapoints", ["thing_id", "at", "id"])
