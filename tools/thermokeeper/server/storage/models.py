"""The tables. Portable SQL only: SQLite and PostgreSQL hold the same schema."""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from thermokeeper.contract.times import now
from thermokeeper.server.secrets import new_id


class UtcTime(TypeDecorator[datetime]):
    """A moment with its zone; SQLite has none, so what it gives back is known to be UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcTime(), str: String(), float: Float(53)}


def _id() -> Mapped[str]:
    return mapped_column(String(32), primary_key=True, default=new_id)


class Template(Base):
    """What devices of one kind run; `target` is the version published for the field."""

    __tablename__ = "templates"

    id: Mapped[str] = _id()
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    target_version_id: Mapped[str | None] = mapped_column(ForeignKey("versions.id", use_alter=True))

    target: Mapped["Version | None"] = relationship(foreign_keys=[target_version_id], post_update=True)


class Version(Base):
    """A firmware of a template. Its file lies beside the database; `firmware_size` is None until it is uploaded."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("template_id", "name"),)

    id: Mapped[str] = _id()
    template_id: Mapped[str] = mapped_column(ForeignKey("templates.id"))
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    prototype: Mapped[bool] = mapped_column(default=False)
    update_by_thing: Mapped[bool] = mapped_column(default=True)
    update_automatic: Mapped[bool] = mapped_column(default=False)
    update_to_id: Mapped[str | None] = mapped_column(ForeignKey("versions.id"))
    created_at: Mapped[datetime] = mapped_column(default=now)
    firmware_size: Mapped[int | None] = mapped_column(BigInteger)
    firmware_sha256: Mapped[str | None] = mapped_column(String(64))
    release_digest: Mapped[str | None] = mapped_column(String(64))
    release_version: Mapped[str | None]

    template: Mapped[Template] = relationship(foreign_keys=[template_id])
    update_to: Mapped["Version | None"] = relationship(remote_side=[id])


class Product(Base):
    __tablename__ = "products"

    id: Mapped[str] = _id()
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    default_template_id: Mapped[str] = mapped_column(ForeignKey("templates.id"))
    things_named: Mapped[int] = mapped_column(default=0)  # last number given to a generated name
    # whether a serial number without a key for proofs can't activate either
    proof_required: Mapped[bool] = mapped_column(default=False)
    # whether a serial number without a claim code can't be claimed either
    claim_code_required: Mapped[bool] = mapped_column(default=False)
    retired: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)

    default_template: Mapped[Template] = relationship()


class Serial(Base):
    """A serial number; `template` and `target` are None where the product's and the template's hold.

    One that is retired is blocked for ever: its row stays, so that the number is given to no other device.
    """

    __tablename__ = "serials"
    __table_args__ = (Index(None, "product_id", "number"), Index(None, "product_id", "retired", "number"))

    id: Mapped[str] = _id()
    number: Mapped[str] = mapped_column(unique=True)
    product_id: Mapped[str] = mapped_column(ForeignKey("products.id"))
    template_id: Mapped[str | None] = mapped_column(ForeignKey("templates.id"), index=True)
    target_version_id: Mapped[str | None] = mapped_column(ForeignKey("versions.id"), index=True)
    blocked: Mapped[bool] = mapped_column(default=False)
    # hex; made of the secret in its device's factory record, and needed as it is for each proof
    proof_key: Mapped[str | None] = mapped_column(String(64))
    claim_hash: Mapped[str | None] = mapped_column(String(64))  # of the code on its label, see contract.claim_codes
    retired: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)

    product: Mapped[Product] = relationship()
    own_template: Mapped[Template | None] = relationship()
    own_target: Mapped[Version | None] = relationship()
    thing: Mapped["Thing | None"] = relationship(back_populates="serial")


class Owner(Base):
    __tablename__ = "owners"

    id: Mapped[str] = _id()
    name: Mapped[str] = mapped_column(unique=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Thing(Base):
    """A device as the service knows it. `key_hash` is None until it activates: it has one key or none.

    `readings_after` is the number of the last datapoint of a former owner's time, None if nobody had it before.
    `handover_hash` is of the code that its owner gives the next one.
    """

    __tablename__ = "things"

    id: Mapped[str] = _id()
    serial_id: Mapped[str] = mapped_column(ForeignKey("serials.id"), unique=True)
    owner_id: Mapped[str | None] = mapped_column(ForeignKey("owners.id"), index=True)
    owned_since: Mapped[datetime | None]
    readings_after: Mapped[int | None] = mapped_column(BigInteger)
    handover_hash: Mapped[str | None] = mapped_column(String(64))
    handover_expires_at: Mapped[datetime | None]
    name: Mapped[str] = mapped_column(index=True)  # to find one that isn't taken
    key_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    current_version_id: Mapped[str | None] = mapped_column(ForeignKey("versions.id"), index=True)
    version_confirmed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    last_seen_at: Mapped[datetime | None]
    last_activation_at: Mapped[datetime | None]
    activation_count: Mapped[int] = mapped_column(default=0)

    serial: Mapped[Serial] = relationship(back_populates="thing")
    owner: Mapped[Owner | None] = relationship()
    current_version: Mapped[Version | None] = relationship()
    readings: Mapped[list["Reading"]] = relationship(order_by="Reading.event")
    properties: Mapped[list["PropertyValue"]] = relationship(order_by="PropertyValue.name")


class Datapoint(Base):
    """One measurement. `sent_at` is `at` if the device gave it: then, sent again, it is the same one."""

    __tablename__ = "datapoints"
    __table_args__ = (UniqueConstraint("thing_id", "event", "sent_at", "value"), Index(None, "thing_id", "id"))

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    thing_id: Mapped[str] = mapped_column(ForeignKey("things.id"))
    event: Mapped[str]
    value: Mapped[float]
    at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    arrived_at: Mapped[datetime]


class Reading(Base):
    """The latest datapoint of one event of a thing, and how many there were: `former` of them for a former owner."""

    __tablename__ = "readings"

    thing_id: Mapped[str] = mapped_column(ForeignKey("things.id"), primary_key=True)
    event: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float]
    at: Mapped[datetime]
    count: Mapped[int] = mapped_column(BigInteger)
    former: Mapped[int] = mapped_column(BigInteger, default=0)


class PropertyValue(Base):
    __tablename__ = "property_values"

    thing_id: Mapped[str] = mapped_column(ForeignKey("things.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(Text)  # JSON
    changed_at: Mapped[datetime]
