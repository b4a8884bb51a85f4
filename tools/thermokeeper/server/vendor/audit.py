"""The vendor's call for the audit: who changed what, when."""

from typing import Annotated

from fastapi import Query
from sqlalchemy import and_, or_, select

from thermokeeper.contract.account_schemas import AuditLine as AuditMessage
from thermokeeper.contract.schemas import Page
from thermokeeper.server.http.context import Ctx
from thermokeeper.server.http.pages import After, From, Limit, To, no_page, page_of, row_number
from thermokeeper.server.http.routers import BAD, vendor_router
from thermokeeper.server.rules.rows import clean
from thermokeeper.server.storage.dms_models import AuditLine

router = vendor_router()


@router.get(
    "/audit.json",
    summary="List who changed what, last first",
    response_model=Page[AuditMessage],
    responses=BAD,
)
def list_audit(
    ctx: Ctx,
    subject: Annotated[
        str | None, Query(max_length=200, description="only of this serial number, version, product, owner, token ...")
    ] = None,
    who: Annotated[str | None, Query(max_length=200, description="only by `account NAME`, `owner NAME`, ...")] = None,
    from_: From = None,
    to: To = None,
    after: After = None,
    limit: Limit = 100,
) -> Page[AuditMessage]:
    """Each change by a vendor's account or an owner, and the steps of devices that provision themselves."""
    with ctx.database.reading() as session:
        rows = select(AuditLine).order_by(AuditLine.at.desc(), AuditLine.id.desc())
        if subject is not None:
            rows = rows.where(AuditLine.subject == clean(subject))
        if who is not None:
            rows = rows.where(AuditLine.who == clean(who))
        if from_ is not None:
            rows = rows.where(AuditLine.at >= from_)
        if to is not None:
            rows = rows.where(AuditLine.at < to)
        if after is not None:
            last = session.get(AuditLine, row_number(after))
            if last is None:
                raise no_page()
            same_moment = and_(AuditLine.at == last.at, AuditLine.id < last.id)
            rows = rows.where(AuditLine.at <= last.at, or_(AuditLine.at < last.at, same_moment))
        found, following = page_of(session, rows, limit, lambda row: str(row.id))
        return Page(items=[_json(row) for row in found], next=following)


def _json(row: AuditLine) -> AuditMessage:
    return AuditMessage(
        at=row.at,
        who=row.who,
        token=row.token,
        call=row.call,
        what=row.what,
        subject=row.subject,
        detail=row.detail,
    )
