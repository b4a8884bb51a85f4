"""The service that speaks MessagePack: tokens, devices, who may use which product; and the audit."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TIME = sa.DateTime(timezone=True)
_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "dms_tokens",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("uuid", sa.String(36)),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("expires_at", _TIME),
        sa.Column("revoked_at", _TIME),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dms_tokens"),
        sa.UniqueConstraint("token_hash", name="uq_dms_tokens_token_hash"),
    )
    op.create_index("ix_dms_tokens_uuid", "dms_tokens", ["uuid"])
    op.create_table(
        "dms_devices",
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("credential_hash", sa.String(64)),
        sa.Column("token_id", sa.String(32)),
        sa.Column("acknowledged_at", _TIME),
        sa.Column("offered_hash", sa.String(64)),
        sa.Column("offered_token_id", sa.String(32)),
        sa.Column("owner_id", sa.String(32)),
        sa.Column("serial_id", sa.String(32)),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("last_seen_at", _TIME),
        sa.PrimaryKeyConstraint("uuid", name="pk_dms_devices"),
        sa.UniqueConstraint("credential_hash", name="uq_dms_devices_credential_hash"),
        sa.UniqueConstraint("offered_hash", name="uq_dms_devices_offered_hash"),
        sa.UniqueConstraint("serial_id", name="uq_dms_devices_serial_id"),
        sa.ForeignKeyConstraint(["token_id"], ["dms_tokens.id"], name="fk_dms_devices_token_id"),
        sa.ForeignKeyConstraint(["offered_token_id"], ["dms_tokens.id"], name="fk_dms_devices_offered_token_id"),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_dms_devices_owner_id"),
        sa.ForeignKeyConstraint(["serial_id"], ["serials.id"], name="fk_dms_devices_serial_id"),
    )
    op.create_index("ix_dms_devices_owner_id", "dms_devices", ["owner_id"])
    op.create_table(
        "dms_token_uses",
        sa.Column("token_id", sa.String(32), nullable=False),
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("taken_at", _TIME, nullable=False),
        sa.Column("acknowledged_at", _TIME),
        sa.PrimaryKeyConstraint("token_id", "uuid", name="pk_dms_token_uses"),
        sa.ForeignKeyConstraint(["token_id"], ["dms_tokens.id"], name="fk_dms_token_uses_token_id"),
        sa.ForeignKeyConstraint(["uuid"], ["dms_devices.uuid"], name="fk_dms_token_uses_uuid"),
    )
    op.create_table(
        "product_access",
        sa.Column("owner_id", sa.String(32), nullable=False),
        sa.Column("product_id", sa.String(32), nullable=False),
        sa.Column("granted_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "product_id", name="pk_product_access"),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_product_access_owner_id"),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name="fk_product_access_product_id"),
    )
    op.create_table(
        "audit",
        sa.Column("id", _ROW_NUMBER, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_subject_audit_id", "audit", ["subject", "id"])
