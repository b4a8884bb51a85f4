"""What is known of the releases among a template's versions: kept once they were read, and what follows from it.

Which versions came before one, and what a device with each of those downloads. Who may have a release isn't asked
here, and no file is opened: that takes long, and is done before a transaction begins.
"""

import json
from collections.abc import Iterable

from sqlalchemy import delete, exists, or_, select
from sqlalchemy.orm import Session

from thermokeeper.release.examining import Release, download_bytes
from thermokeeper.release.trust import Trust
from thermokeeper.server.storage.models import Thing, Version, VersionDownload, VersionRelease

_EARLIER_LIMIT = 20  # versions before one that are looked at, the last ones: a template may have had hundreds


def remember(session: Session, version_id: str, found: Release) -> None:
    """Keep what a version's firmware was found to be. May be repeated."""
    trust = None
    if found.trust is not None:
        keys = {name: modulus.hex() for name, modulus in found.trust.keys.items()}
        trust = json.dumps({"keys": keys, "revoked": list(found.trust.revoked)})
    session.merge(
        VersionRelease(version_id=version_id, header=found.header, trust=trust, marks=found.marks, index=found.index)
    )


def known(session: Session, version_ids: Iterable[str]) -> dict[str, Release]:
    """Those of the versions whose release was read, by id."""
    rows = session.scalars(select(VersionRelease).where(VersionRelease.version_id.in_(list(version_ids))))
    return {row.version_id: _release(row) for row in rows}


def unread(session: Session, version: Version) -> list[str]:
    """Of this version, the one that it leads to and those before it, the ones whose release wasn't read yet."""
    others = [version.update_to] if version.update_to is not None else []
    wanted = [one for one in (version, *others, *earlier(session, version)) if one.release_digest is not None]
    there = set(
        session.scalars(
            select(VersionRelease.version_id).where(VersionRelease.version_id.in_([one.id for one in wanted]))
        )
    )
    return [one.id for one in wanted if one.id not in there]


def earlier(session: Session, version: Version) -> list[Version]:
    """The versions that devices may run which are to get this one: published before, or run by a thing; newest first.

    At most so many of the last ones.
    """
    runs = exists().where(Thing.current_version_id == Version.id)
    rows = (
        select(Version)
        .where(Version.template_id == version.template_id, Version.id != version.id, Version.firmware_size.is_not(None))
        .where(or_(Version.published_at.is_not(None), runs))
        .order_by(Version.created_at.desc(), Version.id)
        .limit(_EARLIER_LIMIT)
    )
    return list(session.scalars(rows))


def run_by_things(session: Session, versions: Iterable[Version]) -> set[str]:
    """Ids of those of the versions that some thing has confirmed."""
    runs = exists().where(Thing.current_version_id == Version.id)
    return set(session.scalars(select(Version.id).where(Version.id.in_([one.id for one in versions]), runs)))


def keep_downloads(session: Session, version: Version) -> None:
    """Work out what devices with each earlier version download to get this one, where that isn't known yet."""
    there = {row.from_version_id for row in version.downloads}
    new = [one for one in earlier(session, version) if one.id not in there]
    if not new or version.firmware_size is None:
        return
    releases = known(session, [version.id, *(one.id for one in new)])
    wanted = releases.get(version.id)
    for one in new:
        size = version.firmware_size
        if one.firmware_sha256 == version.firmware_sha256:
            size = 0
        elif wanted is not None and one.id in releases:
            size = download_bytes(wanted, releases[one.id])
        version.downloads.append(VersionDownload(origin=one, size=size))
    session.flush()


def forget(session: Session, version_id: str) -> None:
    """Before a version is deleted."""
    rows = or_(VersionDownload.version_id == version_id, VersionDownload.from_version_id == version_id)
    session.execute(delete(VersionDownload).where(rows))
    session.execute(delete(VersionRelease).where(VersionRelease.version_id == version_id))


def _release(row: VersionRelease) -> Release:
    trust = None
    if row.trust is not None:
        found = json.loads(row.trust)
        keys = {name: bytes.fromhex(modulus) for name, modulus in found["keys"].items()}
        trust = Trust(keys, tuple(found["revoked"]))
    return Release(row.header, trust, row.marks, row.index)
