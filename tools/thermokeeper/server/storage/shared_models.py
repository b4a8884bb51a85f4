"""The tables of what several servers on one database share: keys that they all need, tries, and pieces of firmware."""

from sqlalchemy import BigInteger, Float, ForeignKey, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from thermokeeper.server.storage.models import Base


class ServerKey(Base):
    """A key that the servers made for themselves, by what it is for."""

    __tablename__ = "server_keys"

    purpose: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(64))  # hex


class Tries(Base):
    """A bucket of a limit on tries: what was left in it `at`, in seconds of the database's clock."""

    __tablename__ = "tries"

    place: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    left: Mapped[float] = mapped_column(Float(53))
    at: Mapped[float] = mapped_column(Float(53))


class FirmwarePiece(Base):
    """A piece of firmware by the SHA-256 of its content, in hex: what versions have in common is there once."""

    __tablename__ = "firmware_pieces"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class FirmwarePart(Base):
    """Which piece is the one with this number, from 0, of a version's firmware."""

    __tablename__ = "firmware_parts"

    version_id: Mapped[str] = mapped_column(ForeignKey("versions.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    sha256: Mapped[str] = mapped_column(ForeignKey("firmware_pieces.sha256"), index=True)
