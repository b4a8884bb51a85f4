"""Calls of the vendor: templates, one for each kind of device, and the withdrawal of what one has published."""

from fastapi import Response
from sqlalchemy import exists, select
from sqlalchemy.orm import joinedload

from thermokeeper.contract import schemas
from thermokeeper.contract.schemas import Page
from thermokeeper.server.http.context import Ctx
from thermokeeper.server.http.pages import After, Limit, page_of
from thermokeeper.server.http.routers import BAD, CLASH, MISSING, vendor_router
from thermokeeper.server.refusals import conflict
from thermokeeper.server.rules import audit, registry
from thermokeeper.server.rules.rows import clean, find_template
from thermokeeper.server.storage.models import Template

router = vendor_router()


@router.post(
    "/templates.json",
    summary="Create a template",
    status_code=201,
    response_model=schemas.Template,
    responses={**BAD, **CLASH},
)
def create_template(ctx: Ctx, body: schemas.TemplateRequest) -> schemas.Template:
    with ctx.database.writing() as session:
        if session.scalar(select(exists().where(Template.name == body.name))):
            raise conflict("exists", "there is a template of this name already")
        template = Template(name=body.name, description=body.description)
        session.add(template)
        session.flush()
        audit.changed(session, "template.created", template.name)
        return template_json(template)


@router.get(
    "/templates.json", summary="List the templates, by name", response_model=Page[schemas.Template], responses=BAD
)
def list_templates(ctx: Ctx, after: After = None, limit: Limit = 100) -> Page[schemas.Template]:
    with ctx.database.reading() as session:
        rows = select(Template).where(Template.name > (clean(after) or "")).order_by(Template.name)
        found, following = page_of(session, rows.options(joinedload(Template.target)), limit, lambda row: row.name)
        return Page(items=[template_json(row) for row in found], next=following)


@router.get(
    "/templates/{template_id}.json", summary="Get a template", response_model=schemas.Template, responses=MISSING
)
def get_template(ctx: Ctx, template_id: str) -> schemas.Template:
    with ctx.database.reading() as session:
        return template_json(find_template(session, template_id))


@router.delete(
    "/templates/{template_id}/target-version.json",
    summary="Withdraw what a template has published",
    status_code=204,
    responses=MISSING,
)
def withdraw(ctx: Ctx, template_id: str) -> Response:
    """Devices that have it keep it; the others are told that no target version is set."""
    with ctx.database.writing() as session:
        template = find_template(session, template_id)
        if template.target is not None:
            named = f"{template.name}/{template.target.name}"
            audit.changed(session, "version.withdrawn", named, f"id {template.target.id}")
            template.target = None
    return Response(status_code=204)


def template_json(row: Template) -> schemas.Template:
    return schemas.Template(
        id=row.id,
        name=row.name,
        description=row.description,
        target_version=registry.summary_or_none(row.target),
        created=row.created_at,
    )
