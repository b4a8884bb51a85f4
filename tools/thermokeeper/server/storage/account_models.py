"""The tables of the vendor's accounts: who works at the vendor, as what, and the tokens that each has."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from thermokeeper.contract.times import now
from thermokeeper.server.secrets import new_id
from thermokeeper.server.storage.models import Base


class VendorAccount(Base):
    """`role`: a name of `rules.roles.Role`. One that is blocked is nobody's any more; its tokens stay as they are."""

    __tablename__ = "vendor_accounts"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str] = mapped_column(String(16))
    blocked: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)


class VendorToken(Base):
    """What a program or a person of an account shows. Only its hash is kept."""

    __tablename__ = "vendor_tokens"
    __table_args__ = (Index("ix_vendor_tokens_account_id", "account_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    account_id: Mapped[str] = mapped_column(ForeignKey("vendor_accounts.id"))
    name: Mapped[str] = mapped_column(default="")
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_seen_at: Mapped[datetime | None]

    account: Mapped[VendorAccount] = relationship()
