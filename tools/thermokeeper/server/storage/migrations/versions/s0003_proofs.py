"""Keys for proofs of serial numbers, and products that demand them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("products", sa.Column("proof_required", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("serials", sa.Column("proof_key", sa.String(64)))
