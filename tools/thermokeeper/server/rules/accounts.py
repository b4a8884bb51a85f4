"""The vendor's accounts: whose token is shown, what state a token is in, and the first account, whose token is a file.

The first account is always there and always an admin. Its token is the one in the vendor-token file: another in the
file, and the former opens nothing any more. So whoever has the server's disk always has a way in.
"""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from thermokeeper.contract.account_schemas import TokenState
from thermokeeper.contract.times import now
from thermokeeper.errors import ToolError
from thermokeeper.server.rules.roles import Role, role_of
from thermokeeper.server.secrets import hashed, matches
from thermokeeper.server.storage.account_models import VendorAccount, VendorToken

FIRST = "f" * 32  # id of the account, and of its token from the file
_FIRST_NAME = "vendor"
_FILE = "vendor-token file"


@dataclass(frozen=True)
class Member:
    """Who calls: an account, and with which of its tokens."""

    account_id: str
    name: str
    role: Role
    token_id: str
    token_name: str

    @property
    def who(self) -> str:
        """As the audit and the log have it."""
        return _FIRST_NAME if self.account_id == FIRST else f"account {self.name}"


def token_state(token: VendorToken) -> TokenState:
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now() else "open"


def member_by(session: Session, secret: str) -> Member | None:
    """Whose open token this is; None for any other."""
    wanted = select(VendorToken).where(VendorToken.token_hash == hashed(secret))
    token = session.scalar(wanted.options(joinedload(VendorToken.account)))
    if token is None or not matches(secret, token.token_hash) or token_state(token) != "open":
        return None
    account = token.account
    if account.blocked:
        return None
    return Member(account.id, account.name, role_of(account.role), token.id, token.name)


def first_is_kept(session: Session, secret: str) -> bool:
    """Whether the first account is there with this token; it may have been revoked."""
    token = session.get(VendorToken, FIRST)
    return token is not None and matches(secret, token.token_hash)


def keep_first(session: Session, secret: str) -> None:
    """Make the first account, or let it have the token that is in the file now. ToolError if that is another's."""
    if first_is_kept(session, secret):
        return
    if session.scalar(select(VendorToken.id).where(VendorToken.token_hash == hashed(secret))) is not None:
        raise ToolError("the token in the vendor-token file is one of an account: remove the file to have another made")
    if session.get(VendorAccount, FIRST) is None:
        session.add(VendorAccount(id=FIRST, name=_FIRST_NAME, role=Role.ADMIN.word))
        session.flush()
    token = session.get(VendorToken, FIRST)
    if token is None:
        session.add(VendorToken(id=FIRST, account_id=FIRST, name=_FILE, token_hash=hashed(secret)))
        return
    token.token_hash, token.created_at = hashed(secret), now()
    token.revoked_at = token.last_seen_at = None
