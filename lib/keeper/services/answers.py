"""What the services' answers have in common: refusals in their own words, and what of an answer may be used.

Must not know any service's calls.
"""

from keeper.errors import CloudError, NetError
from keeper.phases import forget
from keeper.services.version import Version
from keeper.talking.address import is_plain

_ID_LIMIT = 64
_KEY_LIMIT = 128
_POINTS_LIMIT = 256  # in one report; its body stays below 20 KB
_STAMP_LIMIT = 40
_ID_CHARS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-"


def json_of(response, limit):
    """What an answer in JSON says."""
    return response.json(limit)


def check_status(response, expected, read=json_of):
    """CloudError with the server's own words for a refusal, NetError for what it shouldn't say.

    read: gives what a body says, like `json_of`.
    """
    status = response.status
    if status in expected:
        return
    if status < 400:
        raise NetError("the server answers %d, which isn't an answer to this" % status)
    from keeper import explaining

    try:
        raise explaining.do("refusal", response, read)
    finally:
        forget("keeper.explaining")


def object_of(answer):
    """The answer, which has to be an object (a map, in MessagePack)."""
    if not isinstance(answer, dict):
        raise NetError("the answer isn't an object")
    return answer


def version_of(answer):
    """The Version that an answer describes, or None if it has no content."""
    if answer is None:
        return None
    answer = object_of(answer)
    version_id = checked_id(answer.get("id"), "version")
    return Version(version_id, answer.get("name"), answer.get("description"), answer.get("release"))


def checked_id(text, what):
    """The id, if it can become part of an address without leading anywhere else."""
    if not isinstance(text, str) or not 0 < len(text) <= _ID_LIMIT:
        raise NetError("no usable id for the %s" % what)
    for char in text:
        if char not in _ID_CHARS:
            raise NetError("no usable id for the %s" % what)
    return text


def checked_key(text, what):
    """What proves who one is, if it can be a header's value."""
    if not isinstance(text, str) or not 0 < len(text) <= _KEY_LIMIT or not is_plain(text) or " " in text:
        raise NetError("no usable %s" % what)
    return text


def checked_points(points):
    """The datapoints [(value, at or None)] as objects; refused, as by the server, if too many or one is no number."""
    if len(points) > _POINTS_LIMIT:
        raise CloudError(413, "", "more than %d datapoints in one report" % _POINTS_LIMIT)
    for value, _ in points:
        if not isinstance(value, (int, float)) or value != value or value in (float("inf"), float("-inf")):
            raise CloudError(400, "", "a datapoint isn't a number")
    return [_point(value, at) for value, at in points]


def _point(value, at):
    return {"value": value} if at is None else {"value": value, "at": at[:_STAMP_LIMIT]}
