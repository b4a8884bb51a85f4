"""Indexes for a template's versions by age and an owner's things by name; targets that owners choose."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_index(
        "ix_versions_template_id_versions_created_at_versions_id", "versions", ["template_id", "created_at", "id"]
    )
    op.create_index("ix_things_owner_id_things_name", "things", ["owner_id", "name"])
    op.drop_index("ix_things_owner_id", "things")
    op.add_column("serials", sa.Column("target_by_owner", sa.Boolean(), nullable=False, server_default=sa.false()))
