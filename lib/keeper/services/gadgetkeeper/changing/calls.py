"""The calls of GadgetKeeper about versions and their firmware. Must not know what they are for."""

from keeper.phases import forget
from keeper.services.answers import checked_id, object_of, version_of

_FAILURE_LIMIT = 300


def current(cloud):
    """The Version that the server believes it runs, or None."""
    return version_of(cloud.call("GET", cloud.of_thing("/version.json"), None, cloud.auth))


def confirm(cloud, version_id):
    """Tell the server that the thing runs this version."""
    object_of(cloud.call("PUT", cloud.of_thing("/version.json"), {"id": version_id}, cloud.auth))


def failed(cloud, version_id, version, why):
    """Tell the server that a release was rolled back: the property `updateFailure` of the thing."""
    text = "%s (%s): %s" % (version, version_id, why)
    path = cloud.of_thing("/properties/updateFailure/value.json")
    cloud.call("PUT", path, {"value": text[:_FAILURE_LIMIT]}, cloud.auth)


def open_release(cloud, version_id, offset=0, etag=None, size=None):
    """Stream of a version's firmware, from `offset` on if the server can and `etag` still holds; `size` bytes of it
    are wanted, or all."""
    path = "/versions/%s/firmware" % checked_id(version_id, "version")
    if cloud.raw:
        stream = _raw(cloud, path, offset, etag, size)
        if stream:
            return stream
        forget("keeper.services.streaming")
    from keeper.services.text import TextRelease  # only a service without raw firmware needs it

    stream = TextRelease(cloud.open("GET", path + ".json", {}, None, cloud.auth))
    cloud.raw = False  # this server has no .bin: not asked again
    return stream


def _raw(cloud, path, offset, etag, size):
    """The stream, or None if the server has no raw firmware."""
    from keeper.services import streaming

    def ask(headers):
        return cloud.open("GET", path + ".bin", headers, None, cloud.auth)

    response, offset = streaming.ask_raw(ask, offset, etag, size)
    if response.status in (404, 405, 501):
        response.close()
        return None
    return streaming.RawRelease(response, offset, size)
