"""The header of the release that the server offers, fetched by itself and decided on before anything is erased.

The signature's code and its big numbers are in memory only here, and gone before the download begins: plain values
leave. It knows which release is acceptable; what is done about it is the update's. A release on trial shows here that
the next one could be fetched and judged: one that can't be replaced must not stay.
"""

from keeper.board.layout import HEADER_SIZE
from keeper.board.slots import Slots
from keeper.console import say
from keeper.errors import CloudError, NetError, ReleaseError
from keeper.phases import forget

_MARK = b"TKREL"  # how `keeper.release.MAGIC` begins, which isn't in memory yet


def admit(life, target):
    """What `updating.update` needs to know of an acceptable release; None if it is what runs already.

    life: `lifecycle.Lifecycle`; target: a `Version` of its service. (what `layout.Layout` takes of the release, the
    same of the one that runs or None, the file's ETag or None, whether a download of it can start anywhere).
    ReleaseError says why a release isn't acceptable, NetError and CloudError that it can't be had.
    """
    say("update", "to %s (%s)" % (target.name, target.id))
    header = bytearray(HEADER_SIZE)
    size, etag, resumable = _fetch(life.cloud, target.id, header)
    slots = Slots()
    manifest = _checked(life, slots, header)
    if size not in (None, manifest.file_size):
        raise ReleaseError("the release has %d bytes, its manifest says %d" % (size, manifest.file_size))
    if manifest.digest == life.running[0]:
        return None
    return manifest.plain(), _running(slots, header), etag, resumable


def prove(life, version_ids):
    """Show that this release can be replaced; ReleaseError, NetError or CloudError says why it can't, as far as seen.

    version_ids: of those that the server should have firmware for; without any only what is here can be looked at.
    """
    if not life.running[0]:
        raise ReleaseError("no release behind the application: it couldn't be replaced")
    header = bytearray(HEADER_SIZE)
    there = None
    for version_id in version_ids:
        try:
            there = _fetch(life.cloud, version_id, header)
            break
        except CloudError as error:
            if version_id == version_ids[-1]:
                raise
            life.note("trial", "firmware of version %s can't be had: %s" % (version_id, error))
    from keeper import release

    if not _policy(life).keys():
        raise ReleaseError("this release trusts no key that is valid: it couldn't be replaced")
    # Its own header was judged by the release before it, perhaps with a key that this one has done away with.
    if there and release.digest(header) != life.running[0]:
        release.verify(header, _policy(life).keys())


def _fetch(cloud, version_id, header):
    """Fill the header; (size of the whole file or None, ETag or None, whether a download could start anywhere)."""
    view = memoryview(header)
    stream = cloud.open_release(version_id, 0, None, len(header))
    try:
        done = 0
        while done < len(header):
            count = stream.readinto(view[done:])
            if not count:
                raise NetError("the release ended in its header")
            done += count
        if bytes(view[: len(_MARK)]) != _MARK:
            raise NetError("what the server sends is no release")  # a portal's page, perhaps
        return stream.size, stream.etag, stream.resumable
    finally:
        stream.close()
        cloud.rest()
        forget("keeper.services.streaming", "keeper.services.text")  # the header is here: its download may go


def _checked(life, slots, header):
    """The `Manifest` of an acceptable header."""
    from keeper.imaging import HEADER_SIZE as HEAD_SIZE
    from keeper.imaging import chip_of

    head = bytearray(HEAD_SIZE)
    slots.running.read(0, head)
    return _policy(life).admit(header, chip_of(head), slots.other.size)


def _policy(life):
    from keeper import release
    from keeper.nvs.state import Store

    keys, revoked, _ = release.brought()
    return release.Policy(life.standing.product, keys, revoked, Store(), life.now)


def _running(slots, scrap):
    """Of the release that runs: its signature was checked when it was installed."""
    from keeper import release

    offset = slots.running.header_offset()
    if offset is None:
        return None
    slots.running.read(offset, scrap)
    try:
        return release.parse(scrap).plain()
    except ReleaseError:
        return None
