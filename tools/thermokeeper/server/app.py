"""The ASGI application: routes, limits, error form, and the page at /docs, which needs nothing from outside."""

import functools
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError
from starlette.responses import Response
from starlette.routing import BaseRoute

from thermokeeper.errors import ToolError
from thermokeeper.server.dms import calls as dms_api
from thermokeeper.server.gadgetkeeper import activation as activation_api
from thermokeeper.server.gadgetkeeper import devices as device_api
from thermokeeper.server.gadgetkeeper import original as original_api
from thermokeeper.server.http import errors, messagepack
from thermokeeper.server.http.body_limit import BodyLimit
from thermokeeper.server.http.context import Context, Ctx, find_devices, stranger
from thermokeeper.server.http.lookups import Lookups
from thermokeeper.server.http.observed import Observed
from thermokeeper.server.http.overload import Overload
from thermokeeper.server.http.polls import Polls
from thermokeeper.server.http.responses import refusal
from thermokeeper.server.metrics import Metrics
from thermokeeper.server.owner import dms as owner_dms_api
from thermokeeper.server.owner import giving as owner_giving_api
from thermokeeper.server.owner import readings as owner_readings_api
from thermokeeper.server.owner import targets as owner_targets_api
from thermokeeper.server.owner import things as owner_api
from thermokeeper.server.refusals import disk_full
from thermokeeper.server.rules import accounts, roles
from thermokeeper.server.rules.known import Known, KnownDevices
from thermokeeper.server.rules.proofs import Nonces
from thermokeeper.server.rules.ratelimit import Limiter, RateLimiter
from thermokeeper.server.rules.shared_tries import SharedLimiter
from thermokeeper.server.settings import WORKERS_FILE, Limits, Settings, server_id
from thermokeeper.server.storage.changes import Changes
from thermokeeper.server.storage.copies import FIRMWARE
from thermokeeper.server.storage.database import Database
from thermokeeper.server.storage.firmware import FirmwareStore
from thermokeeper.server.storage.keys import server_key
from thermokeeper.server.storage.pieces import SharedFirmware
from thermokeeper.server.storage.retention import Retention
from thermokeeper.server.storage.sightings import Sightings
from thermokeeper.server.vendor import accounts as vendor_accounts_api
from thermokeeper.server.vendor import audit as vendor_audit_api
from thermokeeper.server.vendor import dms as vendor_dms_api
from thermokeeper.server.vendor import failures as vendor_failures_api
from thermokeeper.server.vendor import fleet as vendor_fleet_api
from thermokeeper.server.vendor import keys as vendor_keys_api
from thermokeeper.server.vendor import ownership as vendor_ownership_api
from thermokeeper.server.vendor import products as vendor_products_api
from thermokeeper.server.vendor import readings as vendor_readings_api
from thermokeeper.server.vendor import retirement as vendor_retirement_api
from thermokeeper.server.vendor import serials as vendor_serials_api
from thermokeeper.server.vendor import templates as vendor_templates_api
from thermokeeper.server.vendor import versions as vendor_versions_api

_UPLOAD = re.compile(r"/v1/vendor/versions/[^/]*/firmware\.bin")
_ASSETS = "/docs/assets"
_ONLY_FROM_HERE = "default-src 'self' 'unsafe-inline'; img-src 'self' data:"
_TAGS = [
    {"name": "devices", "description": "What a device calls. It shows the key of its last activation in `X-ApiKey`."},
    {
        "name": "dms",
        "description": "What a device with a provisioning token calls. MessagePack both ways; `Authorization: Bearer`.",
    },
    {
        "name": "vendors",
        "description": "Who makes the devices. `X-VendorToken` is the token of an account; each call says which role "
        "that needs (`x-role`): viewer, registrar, publisher or admin, each includes those before it.",
    },
    {"name": "owners", "description": "Who has a device. The vendor makes an account; its token is in `X-OwnerToken`."},
    {"name": "server", "description": "The server itself."},
]
_DESCRIPTION = """Activates devices, tells them what to run, hands out firmware and takes in readings.

Resource names end in `.json`. Every refusal is `{"error": {"code": "...", "message": "..."}}`. Ids and keys are
32 lower-case hex digits, times `2026-11-21T20:13:18.000+0000`. Under `/dms` the same in MessagePack.

Each answer has the id of its call in `X-Request-Id`, as the lines of the server's log have it: the caller's, if it sent
one of up to 64 letters, digits, `.`, `_` and `-`, or else a new one.
"""


def _operation_id(route: APIRoute) -> str:
    return route.name


_ROUTING: dict[str, Any] = {
    "docs_url": None,
    "redoc_url": None,
    "redirect_slashes": False,
    "strict_content_type": False,
    "generate_unique_id_function": _operation_id,
    "responses": {"default": refusal("any other refusal (404, 405, 413, 500, 503)")},
}


def create_app(settings: Settings) -> FastAPI:
    """The application on its data folder; ToolError if that or the database can't be used."""
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        (settings.data_dir / FIRMWARE).mkdir(mode=0o700, exist_ok=True)
        token_id = server_id(settings.data_dir)
    except OSError as error:
        raise ToolError(f"the data folder {settings.data_dir} can't be used: {error.strerror}") from None
    workers_file = settings.data_dir / WORKERS_FILE if settings.workers > 1 else None
    database = Database(settings.database_url, settings.data_dir, Changes(workers_file))
    try:
        _keep_first_account(database, settings.vendor_token, token_id)
    except ToolError:
        database.close()
        raise
    firmware = _firmware(database, settings)
    sightings = Sightings(database)
    known: KnownDevices[Known] = KnownDevices(database.changes)
    retention = Retention(database, settings.keep_points_days)
    metrics = Metrics()
    event.listen(database.engine, "handle_error", lambda found: metrics.database_error(found.original_exception))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        database.start()
        firmware.start()
        sightings.start()
        retention.start()
        yield
        retention.stop()
        sightings.stop()
        database.close()

    app = FastAPI(
        title="Thermokeeper provisioning server",
        description=_DESCRIPTION,
        version=version("thermokeeper"),
        openapi_tags=_TAGS,
        lifespan=lifespan,
        **_ROUTING,
    )
    by_serial, by_client, points = _limiters(database, settings)
    app.state.context = Context(
        settings,
        database,
        firmware,
        by_serial=by_serial,
        by_client=by_client,
        points=points,
        sightings=sightings,
        known=known,
        known_dms=KnownDevices(database.changes),
        lookups=Lookups(functools.partial(find_devices, database, known)),
        metrics=metrics,
        nonces=Nonces(database, server_key(database, "nonces")),
    )
    errors.install(app)
    app.add_middleware(Overload, limit=settings.limits.calls_at_once)
    app.add_middleware(
        BodyLimit,
        limit_of=_body_limits(settings.limits),
        strangers_bytes=settings.limits.device_body_bytes,
        refusal_of=functools.partial(stranger, app.state.context),
    )
    app.add_middleware(original_api.TextJson)
    app.add_middleware(Polls, known=known, sightings=sightings)
    whole = app.build_middleware_stack
    app.build_middleware_stack = lambda: Observed(whole(), metrics)  # type: ignore[method-assign]  # around all others
    app.router.routes.extend(_routes())
    _add_server_pages(app)
    app.openapi = functools.partial(_document, app, app.openapi)  # type: ignore[method-assign]
    return app


def _firmware(database: Database, settings: Settings) -> FirmwareStore:
    folder, limit_bytes = settings.data_dir / FIRMWARE, settings.limits.firmware_bytes
    return SharedFirmware(folder, limit_bytes, database) if database.is_shared else FirmwareStore(folder, limit_bytes)


def _limiters(database: Database, settings: Settings) -> list[Limiter]:
    """Of tries at a serial number, of a caller's tries, of a thing's datapoints: in that order."""
    rates = (settings.serial_rate, settings.client_rate, settings.points_rate)
    if not database.is_shared and settings.workers == 1:
        return [RateLimiter(rate) for rate in rates]
    key = server_key(database, "tries")
    return [SharedLimiter(database, key, number, rate) for number, rate in enumerate(rates)]


def _keep_first_account(database: Database, token: str, token_id: str) -> None:
    with database.reading() as session:
        if accounts.keep_first(session, token, token_id, change=False):
            return
    for again in (True, False):
        try:
            with database.writing() as session:
                accounts.keep_first(session, token, token_id)
            return
        except IntegrityError:  # another process of this server, or another server on this database, was faster
            if not again:
                raise


@functools.cache
def _routes() -> list[BaseRoute]:
    """The routes of all calls. What FastAPI finds out of them at their first use takes longer than the use."""
    parts: tuple[Any, ...] = (
        # the original's before the device's: its activation of a serial number "version" isn't a call of a thing
        *(activation_api, original_api, device_api, dms_api),
        *(owner_api, owner_targets_api, owner_giving_api, owner_dms_api),
        *(vendor_templates_api, vendor_versions_api, vendor_products_api, vendor_keys_api, vendor_serials_api),
        *(vendor_failures_api, vendor_fleet_api, vendor_ownership_api, vendor_retirement_api, vendor_dms_api),
        *(vendor_accounts_api, vendor_audit_api, vendor_readings_api, owner_readings_api),
    )
    app = FastAPI(**_ROUTING)
    before = len(app.router.routes)
    for module in parts:
        app.include_router(module.router)
    return app.router.routes[before:]


def _document(app: FastAPI, generate: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """FastAPI's document, where it documents refusals in the media type of the answer: ours are the path's.

    And where it says of a streamed answer that it is a text, beside what it really is. What role a call needs is added.
    """
    if app.openapi_schema is None:
        for path, methods in generate()["paths"].items():
            media_type = messagepack.MEDIA_TYPE if errors.speaks_messagepack(path) else "application/json"
            for operation in methods.values():
                if path.startswith("/v1/vendor/"):
                    operation["x-role"] = roles.needed_for(operation["operationId"]).word
                for status, response in operation["responses"].items():
                    for content in response.get("content", {}).values():
                        if "$ref" in content.get("schema", {}):
                            content["schema"].pop("type", None)
                    if status == "default" or int(status) >= 400:
                        response["content"] = {media_type: next(iter(response["content"].values()))}
    return generate()


def _body_limits(limits: Limits) -> Callable[[str], int]:
    def limit_of(path: str) -> int:
        if _UPLOAD.fullmatch(path):
            return limits.firmware_bytes
        return limits.vendor_body_bytes if path.startswith("/v1/vendor/") else limits.device_body_bytes

    return limit_of


def _add_server_pages(app: FastAPI) -> None:
    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", tags=["server"], summary="Whether the server and its database work")
    def health(ctx: Ctx) -> dict[str, str]:
        with ctx.database.reading() as session:
            session.execute(text("SELECT 1"))
        if ctx.database.is_full:
            raise disk_full()
        return {"status": "ok"}

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    def root() -> Response:
        return Response(status_code=307, headers={"Location": "/docs"})

    @app.api_route("/docs", methods=["GET", "HEAD"], include_in_schema=False)
    def docs() -> Response:
        page = get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=app.title,
            swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{_ASSETS}/favicon.png",
            # without this it would ask a validator on the Internet about the page
            swagger_ui_parameters={"validatorUrl": None, "defaultModelsExpandDepth": 0},
        )
        page.headers["Content-Security-Policy"] = _ONLY_FROM_HERE
        return page

    app.mount(_ASSETS, StaticFiles(directory=Path(str(files("fastapi_offline"))) / "static"))
