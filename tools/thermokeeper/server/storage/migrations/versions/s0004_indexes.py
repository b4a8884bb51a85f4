"""Indexes for a fleet: a generated name, a version's things and serials, and a product's serials in their order."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index("ix_things_name", "things", ["name"])
    op.create_index("ix_things_current_version_id", "things", ["current_version_id"])
    op.create_index("ix_serials_template_id", "serials", ["template_id"])
    op.create_index("ix_serials_target_version_id", "serials", ["target_version_id"])
    op.create_index("ix_serials_product_id_serials_number", "serials", ["product_id", "number"])
    op.drop_index("ix_serials_product_id", "serials")
