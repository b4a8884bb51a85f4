"""Reads the firmware of versions that are release files, from start to end, before anything is decided on them.

That takes seconds for a large one: it is done in a worker thread, outside of any transaction, and once.
"""

import logging

from keeper.errors import ReleaseError
from thermokeeper.release.examining import examine
from thermokeeper.server.http.context import Context
from thermokeeper.server.http.downloads import open_firmware
from thermokeeper.server.refusals import conflict
from thermokeeper.server.rules import releases
from thermokeeper.server.rules.rows import find_template, find_version, version_row

log = logging.getLogger("thermokeeper.server")


def read_releases(ctx: Context, *version_ids: str) -> None:
    """Afterwards it is known what is in these versions and in those before them. ApiError 404; 409 if one of these is
    a release that is damaged: an earlier one that is, is passed over."""
    with ctx.database.reading() as session:
        found = [find_version(session, version_id) for version_id in version_ids]
        unread = {one for version in found for one in releases.unread(session, version)}
    for version_id in unread:
        try:
            read_release(ctx, version_id)
        except ReleaseError as error:
            if version_id in version_ids:
                raise conflict("bad_release", f"the release is damaged: {error}") from None
            log.warning("the release of version %s, an earlier one, is damaged: %s", version_id, error)


def read_release(ctx: Context, version_id: str) -> None:
    """The same for one version, whose firmware is a release file. ReleaseError if it is damaged."""
    with ctx.database.reading() as session:
        version = find_version(session, version_id)
    with open_firmware(ctx, version) as file:
        found = examine(file)
    with ctx.database.writing() as session:
        version_row(session, version_id)  # another call may have read it, too
        releases.remember(session, version_id, found)


def read_for(ctx: Context, template_id: str | None, version_id: str | None = None) -> None:
    """What devices get by a version or template of their own is known afterwards. Nothing of it is judged."""
    with ctx.database.reading() as session:
        template = find_template(session, template_id) if template_id else None
        version_id = version_id or (template.target_version_id if template is not None else None)
    if version_id:
        read_releases(ctx, version_id)
