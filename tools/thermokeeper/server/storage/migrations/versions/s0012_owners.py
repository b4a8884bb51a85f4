"""Claim codes, whose a thing is since when and for whom its readings are, and what is retired."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("products", sa.Column("claim_code_required", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("products", sa.Column("retired", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("serials", sa.Column("claim_hash", sa.String(64)))
    op.add_column("serials", sa.Column("retired", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        "ix_serials_product_id_serials_retired_serials_number", "serials", ["product_id", "retired", "number"]
    )
    op.add_column("things", sa.Column("owned_since", _MOMENT))
    op.add_column("things", sa.Column("readings_after", sa.BigInteger()))
    op.create_index("ix_things_readings_after", "things", ["readings_after"])
    op.add_column("things", sa.Column("handover_hash", sa.String(64)))
    op.add_column("things", sa.Column("handover_expires_at", _MOMENT))
    op.add_column("readings", sa.Column("former", sa.BigInteger(), nullable=False, server_default="0"))
