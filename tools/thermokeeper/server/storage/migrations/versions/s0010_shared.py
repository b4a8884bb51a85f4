"""What several servers share: keys, tries, pieces of firmware; and when a serial number's last nonce was given."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("serials", sa.Column("proved_ms", sa.BigInteger()))
    op.create_table(
        "server_keys",
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("purpose", name="pk_server_keys"),
    )
    op.create_table(
        "tries",
        sa.Column("place", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("left", sa.Float(53), nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("place", name="pk_tries"),
    )
    op.create_table(
        "firmware_pieces",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_firmware_pieces"),
    )
    op.create_table(
        "firmware_parts",
        sa.Column("version_id", sa.String(32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["versions.id"], name="fk_firmware_parts_version_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["sha256"], ["firmware_pieces.sha256"], name="fk_firmware_parts_sha256"),
        sa.PrimaryKeyConstraint("version_id", "number", name="pk_firmware_parts"),
    )
    op.create_index("ix_firmware_parts_sha256", "firmware_parts", ["sha256"])
