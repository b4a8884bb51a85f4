"""Commands for the vendor's accounts and their tokens, and for the audit."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from thermokeeper.client.commands.support import MOMENT, print_item, print_list, vendor_call, when
from thermokeeper.errors import ToolError
from thermokeeper.groups import Group

if TYPE_CHECKING:
    from thermokeeper.client.calls import VendorClient
    from thermokeeper.contract.account_schemas import Account

_ROLES = click.Choice(["viewer", "registrar", "publisher", "admin"])
_ROLE_HELP = "What it may do: look; also bring in devices and owners; also decide what devices run; also accounts."


@click.group(cls=Group)
def account() -> None:
    """The vendor's accounts: who may do what, and the tokens they show. An account is named by its id or name.

    \b
    Example, a token for a build server that publishes, and one for a factory that registers:
      thermokeeper account create "Build server" --role publisher
      thermokeeper account token create "Build server" --name runner-1 --days 365
      thermokeeper account create Factory --role registrar
      thermokeeper account token create Factory --name line-2
    """


@account.command("create")
@click.argument("name")
@click.option("--role", type=_ROLES, required=True, help=_ROLE_HELP)
@vendor_call
def account_create(client: "VendorClient", name: str, role: str, as_json: bool) -> None:
    """Create the account NAME. It opens nothing until it has a token.

    \b
    Example:
      thermokeeper account create "Jane Doe" --role viewer
    """
    _print_account(client.create_account(name, role), as_json)


@account.command("list")
@vendor_call
def account_list(client: "VendorClient", as_json: bool) -> None:
    """List the accounts."""
    columns: dict[str, Any] = {
        "ACCOUNT": lambda row: row.name,
        "ROLE": lambda row: row.role,
        "BLOCKED": lambda row: row.blocked,
        "CREATED": lambda row: when(row.created),
        "ID": lambda row: row.id,
    }
    print_list(client.accounts(), as_json, columns)


@account.command("set")
@click.argument("name", metavar="ACCOUNT")
@click.option("--role", type=_ROLES, help=_ROLE_HELP)
@click.option("--block/--unblock", "blocked", default=None, help="Whether its tokens open nothing.")
@vendor_call
def account_set(client: "VendorClient", name: str, role: str | None, blocked: bool | None, as_json: bool) -> None:
    """Change what ACCOUNT may do, or block it; from its next call on.

    \b
    Example:
      thermokeeper account set "Jane Doe" --role publisher
      thermokeeper account set "Jane Doe" --block
    """
    if role is None and blocked is None:
        raise ToolError("nothing to set: give --role, --block or --unblock")
    _print_account(client.change_account(name, role=role, blocked=blocked), as_json)


@account.command("whoami")
@vendor_call
def account_whoami(client: "VendorClient", as_json: bool) -> None:
    """Show whose token these commands show.

    \b
    Example:
      thermokeeper account whoami --vendor-token-file token
    """
    found = client.own_account()
    lines: dict[str, object] = {
        "account": found.account.name,
        "role": found.account.role,
        "token": found.token.name,
        "expires": when(found.token.expires),
    }
    print_item(found, as_json, lines)


@account.group("token")
def token() -> None:
    """Tokens of an account: what its people and programs show."""


@token.command("create")
@click.argument("name", metavar="ACCOUNT")
@click.option("--name", "token_name", required=True, help="For people: where it is kept, or what uses it.")
@click.option("--days", type=click.IntRange(1, 36500), help="It expires after so many days.  [default: never]")
@vendor_call
def token_create(client: "VendorClient", name: str, token_name: str, days: int | None, as_json: bool) -> None:
    """Create a token of ACCOUNT and print it, this once.

    \b
    Example:
      thermokeeper account token create "Jane Doe" --name laptop --days 365
    """
    from datetime import timedelta

    from thermokeeper.contract.times import now

    made = client.create_account_token(name, token_name, expires=now() + timedelta(days=days) if days else None)
    print_item(made, as_json, {"token": made.token, "id": made.id, "name": made.name, "expires": when(made.expires)})


@token.command("list")
@click.argument("name", metavar="ACCOUNT")
@vendor_call
def token_list(client: "VendorClient", name: str, as_json: bool) -> None:
    """List the tokens of ACCOUNT, oldest first; they themselves are shown nowhere."""
    columns: dict[str, Any] = {
        "ID": lambda row: row.id,
        "NAME": lambda row: row.name,
        "STATE": lambda row: row.state,
        "LAST USED": lambda row: when(row.last_used),
        "EXPIRES": lambda row: when(row.expires),
        "CREATED": lambda row: when(row.created),
    }
    print_list(client.account_tokens(name), as_json, columns)


@token.command("revoke")
@click.argument("token_id", metavar="ID")
@vendor_call
def token_revoke(client: "VendorClient", token_id: str, as_json: bool) -> None:
    """Revoke the token with the id ID: from the next call on it opens nothing."""
    found = client.revoke_account_token(token_id)
    print_item(found, as_json, {"token": found.id, "name": found.name, "state": found.state})


def _print_account(found: "Account", as_json: bool) -> None:
    lines: dict[str, object] = {
        "account": found.name,
        "role": found.role,
        "blocked": found.blocked,
        "id": found.id,
    }
    print_item(found, as_json, lines)


# -- the audit ---------------------------------------------------------------------------------------------------------


@click.group(cls=Group)
def audit() -> None:
    """The audit: who changed what, and when."""


@audit.command("list")
@click.option("--subject", help="Only of this serial number, version (TEMPLATE/NAME), product, device, owner or token.")
@click.option("--who", metavar="WHO", help="Only by this one, as the list has it, such as `owner NAME`.")
@click.option("--from", "since", type=MOMENT, help="From this time on.")
@click.option("--to", "until", type=MOMENT, help="Before this time.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@vendor_call
def audit_list(
    client: "VendorClient",
    subject: str | None,
    who: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """List who changed what, last first.

    \b
    Example: what became of one version, and all that an account did in November
      thermokeeper audit list --subject Thermometer/2
      thermokeeper audit list --who "account Jane Doe" --from 2026-11-01 --to 2026-12-01
    """
    columns: dict[str, Any] = {
        "AT": lambda row: when(row.at),
        "WHO": lambda row: row.who,
        "TOKEN": lambda row: row.token,
        "WHAT": lambda row: row.what,
        "SUBJECT": lambda row: row.subject,
        "DETAIL": lambda row: row.detail,
    }
    print_list(client.audit(subject, limit, who=who, since=since, until=until), as_json, columns)
