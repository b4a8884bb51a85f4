"""The header of the release that the server offers, fetched by itself and decided on before anything is erased.

The signature's code and its big numbers are in memory only here, and gone before the download begins: plain values
leave. It knows which release is acceptable; what is done about it is the update's.
"""

from keeper.board.layout import HEADER_SIZE
from keeper.board.slots import Slots
from keeper.console import say
from keeper.errors import NetError, ReleaseError
from keeper.phases import forget


def admit(life, target):
    """What `updating.update` needs to know of an acceptable release; None if it is what runs already.

    life: `lifecycle.Lifecycle`; target: a `Version` of its service. (what `layout.Layout` takes of the release, the
    same of the one that runs or None, the file's ETag or None, whether a download of it can start anywhere).
    ReleaseError says why a release isn't acceptable, NetError and CloudError that it can't be had.
    """
    say("update", "to %s (%s)" % (target.name, target.id))
    header = bytearray(HEADER_SIZE)
    size, etag, resumable = _fetch(life.cloud, target.id, header)
    life.cloud.rest()
    forget("keeper.services.streaming", "keeper.services.text")  # the header is here: its download may go
    slots = Slots()
    manifest = _checked(life, slots, header)
    if size not in (None, manifest.file_size):
        raise ReleaseError("the release has %d bytes, its manifest says %d" % (size, manifest.file_size))
    if manifest.digest == life.running[0]:
        return None
    return manifest.plain(), _running(slots, header), etag, resumable


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
        return stream.size, stream.etag, stream.resumable
    finally:
        stream.close()


def _checked(life, slots, header):
    """The `Manifest` of an acceptable header."""
    from keeper import release
    from keeper.imaging import HEADER_SIZE as HEAD_SIZE
    from keeper.imaging import chip_of
    from keeper.nvs.state import Store

    keys, revoked, _ = release.brought()
    policy = release.Policy(life.standing.product, keys, revoked, Store(), life.now)
    head = bytearray(HEAD_SIZE)
    slots.running.read(0, head)
    return policy.admit(header, chip_of(head), slots.other.size)


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
