"""Which keys a product's releases are signed with, what is in a version's release, and what getting it costs."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "product_keys",
        sa.Column("product_id", sa.String(32), nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("modulus", sa.String(768), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("added_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("product_id", "key_id", name="pk_product_keys"),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name="fk_product_keys_product_id"),
    )
    op.create_table(
        "version_releases",
        sa.Column("version_id", sa.String(32), nullable=False),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.Column("trust", sa.Text()),
        sa.Column("marks", sa.LargeBinary(), nullable=False),
        sa.Column("block_index", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("version_id", name="pk_version_releases"),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name="fk_version_releases_version_id"),
    )
    op.create_table(
        "version_downloads",
        sa.Column("version_id", sa.String(32), nullable=False),
        sa.Column("from_version_id", sa.String(32), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version_id", "from_version_id", name="pk_version_downloads"),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name="fk_version_downloads_version_id"),
        sa.ForeignKeyConstraint(["from_version_id"], ["versions.id"], name="fk_version_downloads_from_version_id"),
    )
    op.create_index("ix_version_downloads_from_version_id", "version_downloads", ["from_version_id"])
    op.add_column("products", sa.Column("flash_size", sa.String(8)))
    op.add_column("versions", sa.Column("published_at", _TIME))
    # when isn't known any more; of those that were published before and aren't now, nothing is
    op.execute(
        "UPDATE versions SET published_at = created_at "
        "WHERE id IN (SELECT target_version_id FROM templates WHERE target_version_id IS NOT NULL)"
    )
    op.create_index("ix_versions_template_id_versions_published_at", "versions", ["template_id", "published_at"])
    op.create_index("ix_products_default_template_id", "products", ["default_template_id"])
    op.create_index("ix_serials_template_id_serials_product_id", "serials", ["template_id", "product_id"])
    op.drop_index("ix_serials_template_id", "serials")
