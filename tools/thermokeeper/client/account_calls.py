"""The vendor's calls for its accounts, their tokens, and the audit."""

from collections.abc import Iterator
from datetime import datetime

from thermokeeper.client.connection import Connection, pick, request, segment
from thermokeeper.contract import account_schemas as schemas
from thermokeeper.contract.fields import is_id
from thermokeeper.contract.times import format_time


class AccountCalls(Connection):
    """An account is named by id or name."""

    def own_account(self) -> schemas.OwnAccount:
        """Whose token this client shows, and which of its tokens it is."""
        return self._call(schemas.OwnAccount, "GET", "/v1/vendor/account.json")

    def accounts(self, limit: int | None = None) -> Iterator[schemas.Account]:
        return self._pages(schemas.Account, "/v1/vendor/accounts.json", limit)

    def create_account(self, name: str, role: str) -> schemas.Account:
        body = request(schemas.AccountRequest, name=name, role=role)
        return self._call(schemas.Account, "POST", "/v1/vendor/accounts.json", body)

    def change_account(self, account: str, *, role: str | None = None, blocked: bool | None = None) -> schemas.Account:
        """What is None stays as it is."""
        changes = {name: value for name, value in (("role", role), ("blocked", blocked)) if value is not None}
        body = request(schemas.AccountChange, **changes)
        return self._call(schemas.Account, "PATCH", f"/v1/vendor/accounts/{self._account_id(account)}.json", body)

    def account_tokens(self, account: str, limit: int | None = None) -> Iterator[schemas.AccountToken]:
        """Oldest first."""
        path = f"/v1/vendor/accounts/{self._account_id(account)}/tokens.json"
        return self._pages(schemas.AccountToken, path, limit)

    def create_account_token(
        self, account: str, name: str, *, expires: datetime | None = None
    ) -> schemas.NewAccountToken:
        body = request(schemas.AccountTokenRequest, name=name, expires=expires)
        path = f"/v1/vendor/accounts/{self._account_id(account)}/tokens.json"
        return self._call(schemas.NewAccountToken, "POST", path, body)

    def revoke_account_token(self, token_id: str) -> schemas.AccountToken:
        return self._call(schemas.AccountToken, "POST", f"/v1/vendor/account-tokens/{segment(token_id)}/revoke.json")

    def audit(
        self,
        subject: str | None = None,
        limit: int | None = None,
        *,
        who: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[schemas.AuditLine]:
        """Last first. who: as the lines have it, `account Jane Doe`; from `since` on, before `until`."""
        query = {"subject": subject, "who": who, "from": _text(since), "to": _text(until)}
        return self._pages(schemas.AuditLine, "/v1/vendor/audit.json", limit, **query)

    def _account_id(self, name_or_id: str) -> str:
        return name_or_id if is_id(name_or_id) else pick("account", name_or_id, self.accounts()).id


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)
