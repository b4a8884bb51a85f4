"""The JSON of the calls for the vendor's accounts, their tokens, and the audit."""

from typing import Literal

from pydantic import Field

from thermokeeper.contract.fields import Id, Name, Time
from thermokeeper.contract.schemas import Message, VendorRequest

RoleName = Literal["viewer", "registrar", "publisher", "admin"]
TokenState = Literal["open", "expired", "revoked"]

_ROLE = (
    "each includes those before it. viewer: look; registrar: also bring in serial numbers, devices and owners; "
    "publisher: also decide what devices run; admin: also accounts"
)


class AccountRequest(VendorRequest):
    name: Name
    role: RoleName = Field(description=_ROLE)


class AccountChange(VendorRequest):
    """A member that is left out stays as it is."""

    role: RoleName | None = Field(default=None, description=_ROLE)
    blocked: bool | None = Field(default=None, description="its tokens open nothing")


class Account(Message):
    id: Id
    name: str
    role: RoleName = Field(description=_ROLE)
    blocked: bool
    created: Time


class AccountTokenRequest(VendorRequest):
    name: Name = Field(description="for people: where it is kept, or what uses it")
    expires: Time | None = None


class AccountToken(Message):
    id: Id
    account: Id
    name: str
    state: TokenState
    created: Time
    expires: Time | None
    revoked: Time | None
    last_used: Time | None = Field(description="to half a minute")


class NewAccountToken(AccountToken):
    token: str = Field(description="shown this once; only its hash is kept")


class OwnAccount(Message):
    account: Account
    token: AccountToken


class AuditLine(Message):
    at: Time
    who: str = Field(
        examples=["account Jane Doe"],
        description="`account NAME`, `owner NAME`, `device UUID`; `vendor` is the first account",
    )
    token: str = Field(description="name of the account's token that was shown; empty: of nobody with one")
    call: str = Field(description="its `X-Request-Id`, which the lines of the log have; empty: of a former server")
    what: str = Field(examples=["version.published"])
    subject: str
    detail: str
