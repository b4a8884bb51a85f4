"""The vendor's accounts and their tokens; the audit tells by which call and token, and is found by time and actor."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0006"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "vendor_accounts",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("blocked", sa.Boolean(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vendor_accounts"),
        sa.UniqueConstraint("name", name="uq_vendor_accounts_name"),
    )
    op.create_table(
        "vendor_tokens",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME),
        sa.Column("revoked_at", _TIME),
        sa.Column("last_seen_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_vendor_tokens"),
        sa.UniqueConstraint("token_hash", name="uq_vendor_tokens_token_hash"),
        sa.ForeignKeyConstraint(["account_id"], ["vendor_accounts.id"], name="fk_vendor_tokens_account_id"),
    )
    op.create_index("ix_vendor_tokens_account_id", "vendor_tokens", ["account_id", "created_at", "id"])
    op.add_column("audit", sa.Column("token", sa.String(), nullable=False, server_default=""))
    op.add_column("audit", sa.Column("call", sa.String(64), nullable=False, server_default=""))
    op.drop_index("ix_audit_subject_audit_id", "audit")
    for columns in (("at",), ("who", "at"), ("subject", "at")):
        named = "_".join(f"audit_{column}" for column in (*columns, "id")).removeprefix("audit_")
        op.create_index(f"ix_audit_{named}", "audit", [*columns, "id"])
