"""The tables of the service that speaks MessagePack: tokens, devices, who may use which product; and the audit."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from thermokeeper.contract.times import now
from thermokeeper.server.secrets import new_id
from thermokeeper.server.storage.models import Base, Owner, Product, Serial


class ProvisioningToken(Base):
    """What a device shows once to be given a credential. `taken` of its `uses` are taken, each by another device.

    One with a uuid is for that device only, and has a single use.
    """

    __tablename__ = "dms_tokens"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(default="")
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    uuid: Mapped[str | None] = mapped_column(String(36), index=True)
    uses: Mapped[int] = mapped_column(default=1)
    taken: Mapped[int] = mapped_column(default=0)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class DmsDevice(Base):
    """`offered_hash`: of a credential that was given out and not used yet; `credential_hash`: of the one that was.

    Both are there while a device that had been provisioned before is so again: the former holds until the new one is
    used. `serial`, whose number is the uuid, is there once the device is activated.
    """

    __tablename__ = "dms_devices"

    uuid: Mapped[str] = mapped_column(String(36), primary_key=True)
    credential_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    token_id: Mapped[str | None] = mapped_column(ForeignKey("dms_tokens.id"))
    acknowledged_at: Mapped[datetime | None]
    offered_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    offered_token_id: Mapped[str | None] = mapped_column(ForeignKey("dms_tokens.id"))
    owner_id: Mapped[str | None] = mapped_column(ForeignKey("owners.id"), index=True)
    serial_id: Mapped[str | None] = mapped_column(ForeignKey("serials.id"), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    last_seen_at: Mapped[datetime | None]

    owner: Mapped[Owner | None] = relationship()
    serial: Mapped[Serial | None] = relationship()


class TokenUse(Base):
    """That a device has taken a use of a token; once it is acknowledged, the token buys that device nothing more."""

    __tablename__ = "dms_token_uses"

    token_id: Mapped[str] = mapped_column(ForeignKey("dms_tokens.id"), primary_key=True)
    uuid: Mapped[str] = mapped_column(ForeignKey("dms_devices.uuid"), primary_key=True)
    taken_at: Mapped[datetime] = mapped_column(default=now)
    acknowledged_at: Mapped[datetime | None]


class ProductAccess(Base):
    """An owner's devices may be activated to this product."""

    __tablename__ = "product_access"

    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    product_id: Mapped[str] = mapped_column(ForeignKey("products.id"), primary_key=True)
    granted_at: Mapped[datetime] = mapped_column(default=now)

    product: Mapped[Product] = relationship()


class AuditLine(Base):
    """Who changed what, and when. Never a secret. `token`: name of the one shown; `call`: the id that its log has."""

    __tablename__ = "audit"
    __table_args__ = (Index(None, "at", "id"), Index(None, "who", "at", "id"), Index(None, "subject", "at", "id"))

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now)
    who: Mapped[str]
    what: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[str] = mapped_column(Text, default="")
    token: Mapped[str] = mapped_column(default="")
    call: Mapped[str] = mapped_column(String(64), default="")
