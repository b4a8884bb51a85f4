"""Calls of the vendor: its accounts, what each may do, and their tokens."""

from fastapi import Response
from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import Session

from thermokeeper.contract import account_schemas as schemas
from thermokeeper.contract.schemas import Page
from thermokeeper.contract.times import now
from thermokeeper.server.http.context import CallingMember, Context, Ctx
from thermokeeper.server.http.pages import After, Limit, no_page, page_of
from thermokeeper.server.http.responses import Responses, refusal
from thermokeeper.server.http.routers import BAD, CLASH, vendor_router
from thermokeeper.server.refusals import ApiError, conflict
from thermokeeper.server.rules import audit
from thermokeeper.server.rules.accounts import FIRST, token_state
from thermokeeper.server.rules.roles import role_of
from thermokeeper.server.rules.rows import clean, existing
from thermokeeper.server.secrets import hashed, new_key
from thermokeeper.server.storage.account_models import VendorAccount, VendorToken

router = vendor_router()

_NONE: Responses = {404: refusal("no such account or token")}


@router.get(
    "/account.json",
    summary="Get one's own account: who the shown token is",
    response_model=schemas.OwnAccount,
)
def own_account(ctx: Ctx, member: CallingMember) -> schemas.OwnAccount:
    with ctx.database.reading() as session:
        token = existing(session.get(VendorToken, member.token_id), "token")
        return schemas.OwnAccount(account=_account_json(token.account), token=_token_json(ctx, token))


@router.post(
    "/accounts.json",
    summary="Create an account",
    status_code=201,
    response_model=schemas.Account,
    responses={**BAD, **CLASH},
)
def create_account(ctx: Ctx, body: schemas.AccountRequest) -> schemas.Account:
    """It opens nothing until it has a token."""
    with ctx.database.writing() as session:
        if session.scalar(select(exists().where(VendorAccount.name == body.name))):
            raise conflict("exists", "there is an account of this name already")
        row = VendorAccount(name=body.name, role=body.role, created_at=now())
        session.add(row)
        session.flush()
        audit.changed(session, "account.created", row.name, f"role {row.role}")
        return _account_json(row)


@router.get(
    "/accounts.json",
    summary="List the accounts, by name",
    response_model=Page[schemas.Account],
    responses=BAD,
)
def list_accounts(ctx: Ctx, after: After = None, limit: Limit = 100) -> Page[schemas.Account]:
    with ctx.database.reading() as session:
        rows = select(VendorAccount).where(VendorAccount.name > (clean(after) or "")).order_by(VendorAccount.name)
        found, following = page_of(session, rows, limit, lambda row: row.name)
        return Page(items=[_account_json(row) for row in found], next=following)


@router.patch(
    "/accounts/{account_id}.json",
    summary="Change what an account may do, or block it",
    response_model=schemas.Account,
    responses={**BAD, **_NONE, 409: refusal("first_account: the first account stays an admin, and is never blocked")},
)
def change_account(ctx: Ctx, account_id: str, body: schemas.AccountChange) -> schemas.Account:
    """What is left out stays as it is. It holds for all its tokens, from the next call on."""
    with ctx.database.writing() as session:
        row = _account_row(session, account_id)
        role, blocked = body.role or row.role, row.blocked if body.blocked is None else body.blocked
        if row.id == FIRST and (role != row.role or blocked):
            raise conflict("first_account", "the first account stays an admin, and is never blocked")
        if (role, blocked) != (row.role, row.blocked):
            row.role, row.blocked = role, blocked
            audit.changed(
                session, "account.changed", row.name, f"role {role}, {'blocked' if blocked else 'not blocked'}"
            )
        return _account_json(row)


@router.post(
    "/accounts/{account_id}/tokens.json",
    summary="Create a token of an account",
    status_code=201,
    response_model=schemas.NewAccountToken,
    responses={**BAD, **_NONE},
)
def create_account_token(
    ctx: Ctx, response: Response, account_id: str, body: schemas.AccountTokenRequest
) -> schemas.NewAccountToken:
    """The token is in this answer only. It may do what its account may."""
    if body.expires is not None and body.expires <= now():
        raise ApiError(400, "bad_request", "body.expires: lies in the past")
    secret = new_key()
    with ctx.database.writing() as session:
        account = _account_row(session, account_id)
        token = VendorToken(
            account=account, name=body.name, token_hash=hashed(secret), expires_at=body.expires, created_at=now()
        )
        session.add(token)
        session.flush()
        audit.changed(session, "account.token_created", token.id, f"{token.name}, of {account.name}")
        response.headers["Cache-Control"] = "no-store"
        return schemas.NewAccountToken(**dict(_token_json(ctx, token)), token=secret)


@router.get(
    "/accounts/{account_id}/tokens.json",
    summary="List the tokens of an account, oldest first",
    response_model=Page[schemas.AccountToken],
    responses={**BAD, **_NONE},
)
def list_account_tokens(
    ctx: Ctx, account_id: str, after: After = None, limit: Limit = 100
) -> Page[schemas.AccountToken]:
    with ctx.database.reading() as session:
        account = existing(session.get(VendorAccount, clean(account_id)), "account")
        rows = select(VendorToken).where(VendorToken.account_id == account.id)
        if after is not None:
            last = session.get(VendorToken, clean(after))
            if last is None:
                raise no_page()
            same_moment = and_(VendorToken.created_at == last.created_at, VendorToken.id > last.id)
            rows = rows.where(or_(VendorToken.created_at > last.created_at, same_moment))
        rows = rows.order_by(VendorToken.created_at, VendorToken.id)
        found, following = page_of(session, rows, limit, lambda token: token.id)
        return Page(items=[_token_json(ctx, token) for token in found], next=following)


@router.post(
    "/account-tokens/{token_id}/revoke.json",
    summary="Revoke a token of an account",
    response_model=schemas.AccountToken,
    responses=_NONE,
)
def revoke_account_token(ctx: Ctx, token_id: str) -> schemas.AccountToken:
    """From the next call on it opens nothing. May be repeated.

    The one of the vendor-token file, too: another is made when the server starts without that file.
    """
    with ctx.database.writing() as session:
        wanted = select(VendorToken).where(VendorToken.id == clean(token_id)).with_for_update()
        token = existing(session.scalar(wanted), "token")
        if token.revoked_at is None:
            token.revoked_at = now()
            audit.changed(session, "account.token_revoked", token.id, f"{token.name}, of {token.account.name}")
        return _token_json(ctx, token)


def _account_row(session: Session, account_id: str) -> VendorAccount:
    wanted = select(VendorAccount).where(VendorAccount.id == clean(account_id)).with_for_update()
    return existing(session.scalar(wanted), "account")


def _account_json(row: VendorAccount) -> schemas.Account:
    return schemas.Account(
        id=row.id, name=row.name, role=role_of(row.role).word, blocked=row.blocked, created=row.created_at
    )


def _token_json(ctx: Context, row: VendorToken) -> schemas.AccountToken:
    return schemas.AccountToken(
        id=row.id,
        account=row.account_id,
        name=row.name,
        state=token_state(row),
        created=row.created_at,
        expires=row.expires_at,
        revoked=row.revoked_at,
        last_used=ctx.sightings.of_token(row),
    )
