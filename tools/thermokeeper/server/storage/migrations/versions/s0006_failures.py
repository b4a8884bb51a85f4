"""What things report of updates that failed or that they refused."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_TIME = sa.DateTime(timezone=True)
_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "update_failures",
        sa.Column("id", _ROW_NUMBER, nullable=False),
        sa.Column("thing_id", sa.String(32), nullable=False),
        sa.Column("template_id", sa.String(32), nullable=False),
        sa.Column("version_id", sa.String(32)),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("first_at", _TIME, nullable=False),
        sa.Column("last_at", _TIME, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_update_failures"),
        sa.ForeignKeyConstraint(["thing_id"], ["things.id"], name="fk_update_failures_thing_id"),
        sa.ForeignKeyConstraint(["template_id"], ["templates.id"], name="fk_update_failures_template_id"),
    )
    for column in ("thing_id", "template_id", "version_id"):
        name = f"ix_update_failures_{column}_update_failures_last_at"
        op.create_index(name, "update_failures", [column, "last_at"])
