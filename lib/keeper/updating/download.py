"""A release file on a server, read from where the installer wants it: from its start, or going on where a cut left it.

It hides which kind of stream the service gives: one that can start anywhere is opened anew at the place; of another,
what comes before is read and thrown away. It knows a cloud driver's verb `open_release`, no slot and no manifest.
"""

from keeper.errors import NetError, ReleaseError

_SKIP_SIZE = 32 * 1024  # reading on over less than this costs less than another request


class Download:
    """cloud: a service's wire; version_id: whose firmware, a file of `size` bytes with this etag, or None.

    resumable: whether a stream of it can start anywhere.
    """

    def __init__(self, cloud, version_id, size, etag=None, resumable=False):
        self.resumable = resumable
        self._cloud = cloud
        self._version_id = version_id
        self._stream = None
        self._position = 0
        self._etag = etag
        self._expected = size

    def seek(self, offset, scrap, size=None):
        """Let the next `fill` read from this offset of the file on: `size` bytes, or all that follow.

        scrap: a memoryview that may be overwritten.
        """
        stream = self._stream
        gap = offset - self._position
        if stream is None or gap < 0 or (stream.resumable and (gap > _SKIP_SIZE or _is_beyond(stream, offset))):
            self._open(offset, size)
            gap = offset - self._position
        while gap > 0:
            count = min(gap, len(scrap))
            at_start = not self._position
            self.fill(scrap[:count])
            if at_start and bytes(scrap[:5]) != b"TKREL":  # as its header begins, which was here before
                raise NetError("what the server sends is no release")
            gap -= count

    def fill(self, view):
        """Fill the memoryview with what comes next; NetError if the file ends before."""
        position = 0
        size = len(view)
        opened = -1
        while position < size:
            count = self._stream.readinto(view[position:] if position else view)
            if not count:
                at = self._position + position
                if opened == at or self._stream.end != at or at >= self._expected:
                    raise NetError("the release ended after a part of it")
                opened = at  # the server sent less than it was asked for, as it may
                before, self._position = self._position, at
                self._open(at, None)
                if self._position != at:
                    raise NetError("the server sends a part of the release only")
                self._position = before
                continue
            position += count
        self._position += size

    def finish(self):
        """ReleaseError if the file goes on where its size was told: only what was read to there can show it."""
        stream = self._stream
        if stream and stream.size is None and self._position == self._expected and stream.readinto(bytearray(1)):
            raise ReleaseError("the release goes on after the %d bytes that its manifest says" % self._position)

    def close(self):
        """Leave the connection."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _open(self, offset, size):
        self.close()
        before = self._etag
        self._stream = self._cloud.open_release(self._version_id, offset, before, size)
        self._cloud.rest()  # what asked for it isn't needed while it arrives
        self._position = self._stream.offset
        self._etag = self._stream.etag
        if before and self._etag != before and offset:
            self.close()
            raise NetError("the release on the server is another one than before: it is fetched from its start")
        told = self._stream.size
        if told not in (None, self._expected):
            self.close()
            raise NetError("what the server sends has %d bytes, the release %d" % (told, self._expected))


def _is_beyond(stream, offset):
    """Whether a stream ends before this offset: only so much of the file was asked for."""
    return stream.end is not None and offset >= stream.end
