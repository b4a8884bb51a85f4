"""The calls of Gecko OS DMS about versions and their firmware. Must not know what they are for."""

from keeper.services.answers import checked_id, version_of
from keeper.services.gecko_dms.wire import told

_VERSION_LIMIT = 64
_WHY_LIMIT = 300


def current(wire):
    """The Version that the server believes it runs, or None."""
    return version_of(wire.call("GET", "/firmware/current", None, (200, 204), wire.known()))


def confirm(wire, version_id):
    """Tell the server that the device runs this version."""
    wire.call("PUT", "/firmware", {"id": version_id}, (204,), wire.known())


def failed(wire, version_id, version, why):
    """Tell the server that a release was rolled back."""
    content = {"id": version_id, "version": version[:_VERSION_LIMIT], "why": why[:_WHY_LIMIT]}
    wire.call("POST", "/firmware/failure", content, (204,), wire.known())


def open_release(wire, version_id, offset=0, etag=None, size=None):
    """Stream of a version's firmware, from `offset` on if the server can and `etag` still holds; `size` bytes of it
    are wanted, or all."""
    from keeper.services import streaming

    path = "/firmware/" + checked_id(version_id, "version")
    auth = wire.known()

    def ask(headers):
        return wire.open("GET", path, headers, None, auth)

    response, offset = streaming.ask_raw(ask, offset, etag, size)
    return streaming.RawRelease(response, offset, size, told)
