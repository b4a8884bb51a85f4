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
    LargeBinary,
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
    __table_args__ = (
        UniqueConstraint("template_id", "name"),
        Index(None, "template_id", "published_at"),
        Index(None, "template_id", "created_at", "id"),
    )

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
    published_at: Mapped[datetime | None]  # for the first time

    template: Mapped[Template] = relationship(foreign_keys=[template_id])
    update_to: Mapped["Version | None"] = relationship(remote_side=[id])
    downloads: Mapped[list["VersionDownload"]] = relationship(
        foreign_keys="VersionDownload.version_id", order_by="VersionDownload.from_version_id"
    )


class VersionRelease(Base):
    """What was found in the release file that is a version's firmware, once it was read from start to end."""

    __tablename__ = "version_releases"

    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"), primary_key=True)
    header: Mapped[bytes] = mapped_column(LargeBinary)
    trust: Mapped[str | None] = mapped_column(Text)  # JSON: its keys {id: modulus in hex} and revoked ids; None: unread
    marks: Mapped[bytes] = mapped_column(LargeBinary)  # of the blocks of its file system
    index: Mapped[bytes] = mapped_column("block_index", LargeBinary)  # of a file system that is stored in blocks


class VersionDownload(Base):
    """How many bytes a device with an earlier version downloads to get this one."""

    __tablename__ = "version_downloads"

    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"), primary_key=True)
    from_version_id: Mapped[str] = mapped_column(ForeignKey("versions.id"), primary_key=True, index=True)
    size: Mapped[int] = mapped_column(BigInteger)

    origin: Mapped[Version] = relationship(foreign_keys=[from_version_id])


class Product(Base):
    __tablename__ = "products"

    id: Mapped[str] = _id()
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    default_template_id: Mapped[str] = mapped_column(ForeignKey("templates.id"), index=True)
    things_named: Mapped[int] = mapped_column(default=0)  # last number given to a generated name
    # whether a serial number without a key for proofs can't activate either
    proof_required: Mapped[bool] = mapped_column(default=False)
    # whether a serial number without a claim code can't be claimed either
    claim_code_required: Mapped[bool] = mapped_column(default=False)
    flash_size: Mapped[str | None] = mapped_column(String(8))  # which flash map its boards have, if that is known
    retired: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)

    default_template: Mapped[Template] = relationship()
    keys: Mapped[list["ProductKey"]] = relationship(order_by="ProductKey.key_id")


class ProductKey(Base):
    """A public key whose releases a product's boards take, as the vendor says."""

    __tablename__ = "product_keys"

    product_id: Mapped[str] = mapped_column(ForeignKey("products.id"), primary_key=True)
    key_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    modulus: Mapped[str] = mapped_column(String(768))  # hex
    name: Mapped[str]
    added_at: Mapped[datetime] = mapped_column(default=now)


class Serial(Base):
    """A serial number; `template` and `target` are None where the product's and the template's hold.

    One that is retired is blocked for ever: its row stays, so that the number is given to no other device.
    """

    __tablename__ = "serials"
    __table_args__ = (
        Index(None, "product_id", "number"),
        Index(None, "product_id", "retired", "number"),
        Index(None, "template_id", "product_id"),
    )

    id: Mapped[str] = _id()
    number: Mapped[str] = mapped_column(unique=True)
    product_id: Mapped[str] = mapped_column(ForeignKey("products.id"))
    template_id: Mapped[str | None] = mapped_column(ForeignKey("templates.id"))
    target_version_id: Mapped[str | None] = mapped_column(ForeignKey("versions.id"), index=True)
    # whether the target of its own is the owner's choice, not the vendor's
    target_by_owner: Mapped[bool] = mapped_column(default=False)
    blocked: Mapped[bool] = mapped_column(default=False)
    # hex; made of the secret in its device's factory record, and needed as it is for each proof
    proof_key: Mapped[str | None] = mapped_column(String(64))
    proved_ms: Mapped[int | None] = mapped_column(BigInteger)  # when its last nonce that was taken was given
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
    __table_args__ = (Index(None, "owner_id", "name"),)

    id: Mapped[str] = _id()
    serial_id: Mapped[str] = mapped_column(ForeignKey("serials.id"), unique=True)
    owner_id: Mapped[str | None] = mapped_column(ForeignKey("owners.id"))
    owned_since: Mapped[datetime | None]
    readings_after: Mapped[int | None] = mapped_column(BigInteger, index=True)
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
    failures: Mapped[list["UpdateFailure"]] = relationship(
        order_by="UpdateFailure.last_at.desc(), UpdateFailure.id.desc()", back_populates="thing"
    )


class Datapoint(Base):
    """One measurement. `sent_at` is `at` if the device gave it: then, sent again, it is the same one."""

    __tablename__ = "datapoints"
    __table_args__ = (
        UniqueConstraint("thing_id", "event", "sent_at", "value"),
        Index(None, "thing_id", "id"),
        Index(None, "thing_id", "at", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    thing_id: Mapped[str] = mapped_column(ForeignKey("things.id"))
    event: Mapped[str]
    value: Mapped[float]
    at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    arrived_at: Mapped[datetime]


class Reading(Base):
    """An event's latest datapoint of a thing, and how many there ever were: `former` of them for a former owner."""

    __tablename__ = "readings"

    thing_id: Mapped[str] = mapped_column(ForeignKey("things.id"), primary_key=True)
    event: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float]
    at: Mapped[datetime]
    count: Mapped[int] = mapped_column(BigInteger)
    former: Mapped[int] = mapped_column(BigInteger, default=0)


class ReadingHour(Base):
    """What an hour's datapoints of one event come to; it stays when they go."""

    __tablename__ = "reading_hours"

    thing_id: Mapped[str] = mapped_column(ForeignKey("things.id"), primary_key=True)
    start: Mapped[datetime] = mapped_column(primary_key=True)
    event: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    sum: Mapped[float]
    least: Mapped[float]
    most: Mapped[float]


class PropertyValue(Base):
    __tablename__ = "property_values"

    thing_id: Mapped[str] = mapped_column(ForeignKey("things.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(Text)  # JSON
    changed_at: Mapped[datetime]


class UpdateFailure(Base):
    """A version that a thing has tried, or refused to try, as it told itself; the last of its reasons.

    `version_id` is what the device said: the version may be gone by now, or be of another template.
    """

    __tablename__ = "update_failures"
    __table_args__ = (
        Index(None, "thing_id", "last_at"),
        Index(None, "template_id", "last_at"),
        Index(None, "version_id", "last_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    thing_id: Mapped[str] = mapped_column(ForeignKey("things.id"))
    template_id: Mapped[str] = mapped_column(ForeignKey("templates.id"))  # the thing's when it told
    version_id: Mapped[str | None] = mapped_column(String(32))
    version: Mapped[str]  # as the device calls it
    why: Mapped[str] = mapped_column(Text)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    count: Mapped[int]

    thing: Mapped[Thing] = relationship(back_populates="failures")
