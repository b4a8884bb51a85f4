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

FIRST = "f" * 32  # id of the account
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


def keep_first(session: Session, secret: str, token_id: str, change: bool = True) -> bool:
    """Make the first account, with the token that is in this server's file now; the one before opens nothing any more.

    token_id: of the row for this server's file; servers with files of their own have one each. Whether all was so
    already; without `change` that is all that is asked. ToolError if the token is another account's.
    """
    own = session.get(VendorToken, token_id)
    same = session.scalar(select(VendorToken).where(VendorToken.token_hash == hashed(secret)))
    if same is not None and same.account_id != FIRST:
        raise ToolError("the token in the vendor-token file is one of an account: remove the file to have another made")
    former = own if own is not None and own is not same and own.revoked_at is None else None
    if (same is not None and former is None) or not change:
        return same is not None and former is None
    if session.get(VendorAccount, FIRST) is None:
        session.add(VendorAccount(id=FIRST, name=_FIRST_NAME, role=Role.ADMIN.word))
        session.flush()
    if same is not None and former is not None:  # another server with the same file was here first
        former.revoked_at = now()
    elif own is not None:
        own.token_hash, own.created_at = hashed(secret), now()
        own.revoked_at = own.last_seen_at = None
    else:
        session.add(VendorToken(id=token_id, account_id=FIRST, name=_FILE, token_hash=hashed(secret)))
    return False
