"""Templates, versions, products, serial numbers, owners, things and what they measured."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TIME = sa.DateTime(timezone=True)
_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "templates",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("target_version_id", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name="pk_templates"),
        sa.UniqueConstraint("name", name="uq_templates_name"),
    )
    op.create_table(
        "versions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("template_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("prototype", sa.Boolean(), nullable=False),
        sa.Column("update_by_thing", sa.Boolean(), nullable=False),
        sa.Column("update_automatic", sa.Boolean(), nullable=False),
        sa.Column("update_to_id", sa.String(32)),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("firmware_size", sa.BigInteger()),
        sa.Column("firmware_sha256", sa.String(64)),
        sa.Column("release_digest", sa.String(64)),
        sa.Column("release_version", sa.String()),
        sa.PrimaryKeyConstraint("id", name="pk_versions"),
        sa.UniqueConstraint("template_id", "name", name="uq_versions_template_id_name"),
        sa.ForeignKeyConstraint(["template_id"], ["templates.id"], name="fk_versions_template_id"),
        sa.ForeignKeyConstraint(["update_to_id"], ["versions.id"], name="fk_versions_update_to_id"),
    )
    if op.get_bind().dialect.name != "sqlite":  # it can't add one, and had none
        op.create_foreign_key("fk_templates_target_version_id", "templates", "versions", ["target_version_id"], ["id"])
    op.create_table(
        "products",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("default_template_id", sa.String(32), nullable=False),
        sa.Column("things_named", sa.Integer(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_products"),
        sa.UniqueConstraint("code", name="uq_products_code"),
        sa.ForeignKeyConstraint(["default_template_id"], ["templates.id"], name="fk_products_default_template_id"),
    )
    op.create_table(
        "serials",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("product_id", sa.String(32), nullable=False),
        sa.Column("template_id", sa.String(32)),
        sa.Column("target_version_id", sa.String(32)),
        sa.Column("blocked", sa.Boolean(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_serials"),
        sa.UniqueConstraint("number", name="uq_serials_number"),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name="fk_serials_product_id"),
        sa.ForeignKeyConstraint(["template_id"], ["templates.id"], name="fk_serials_template_id"),
        sa.ForeignKeyConstraint(["target_version_id"], ["versions.id"], name="fk_serials_target_version_id"),
    )
    op.create_index("ix_serials_product_id", "serials", ["product_id"])
    op.create_table(
        "owners",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_owners"),
        sa.UniqueConstraint("name", name="uq_owners_name"),
        sa.UniqueConstraint("token_hash", name="uq_owners_token_hash"),
    )
    op.create_table(
        "things",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("serial_id", sa.String(32), nullable=False),
        sa.Column("owner_id", sa.String(32)),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("key_hash", sa.String(64)),
        sa.Column("current_version_id", sa.String(32)),
        sa.Column("version_confirmed_at", _TIME),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("last_seen_at", _TIME),
        sa.Column("last_activation_at", _TIME),
        sa.Column("activation_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_things"),
        sa.UniqueConstraint("serial_id", name="uq_things_serial_id"),
        sa.UniqueConstraint("key_hash", name="uq_things_key_hash"),
        sa.ForeignKeyConstraint(["serial_id"], ["serials.id"], name="fk_things_serial_id"),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_things_owner_id"),
        sa.ForeignKeyConstraint(["current_version_id"], ["versions.id"], name="fk_things_current_version_id"),
    )
    op.create_index("ix_things_owner_id", "things", ["owner_id"])
    op.create_table(
        "datapoints",
        sa.Column("id", _ROW_NUMBER, nullable=False),
        sa.Column("thing_id", sa.String(32), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("value", sa.Float(53), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("sent_at", _TIME),
        sa.Column("arrived_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_datapoints"),
        sa.UniqueConstraint("thing_id", "event", "sent_at", "value", name="uq_datapoints_thing_id_event_sent_at_value"),
        sa.ForeignKeyConstraint(["thing_id"], ["things.id"], name="fk_datapoints_thing_id"),
    )
    op.create_index("ix_datapoints_thing_id_datapoints_id", "datapoints", ["thing_id", "id"])
    op.create_table(
        "readings",
        sa.Column("thing_id", sa.String(32), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("value", sa.Float(53), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("thing_id", "event", name="pk_readings"),
        sa.ForeignKeyConstraint(["thing_id"], ["things.id"], name="fk_readings_thing_id"),
    )
    op.create_table(
        "property_values",
        sa.Column("thing_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("thing_id", "name", name="pk_property_values"),
        sa.ForeignKeyConstraint(["thing_id"], ["things.id"], name="fk_property_values_thing_id"),
    )
