"""What the services' answers have in common: refusals in their own words, and what of an answer may be used.

Must not know any service's calls.
"""

from keeper.address import number, printable
from keeper.errors import CloudError, NetError

_ERROR_LIMIT = 1024
_CODE_LIMIT = 40
_MESSAGE_LIMIT = 120
_RETRY_LIMIT_S = 86_400
_ID_LIMIT = 64
_ID_CHARS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-"


def check_status(response, expected):
    """CloudError with the server's own words for a refusal, NetError for what it shouldn't say."""
    status = response.status
    if status in expected:
        return
    if status < 400:
        raise NetError("the server answers %d, which isn't an answer to this" % status)
    code = message = ""
    try:
        told = response.json(_ERROR_LIMIT)["error"]
        code, message = _words(told["code"], _CODE_LIMIT), _words(told["message"], _MESSAGE_LIMIT)
    except (NetError, KeyError, TypeError, IndexError):
        pass  # a proxy's page, perhaps: the status says enough
    error = CloudError(status, code, message or "the server answers %d" % status)
    asked = number(response.headers.get("retry-after", ""), 10)  # given as a date it is not used
    error.retry_after_ms = None if asked is None else min(asked, _RETRY_LIMIT_S) * 1000
    raise error


def object_of(answer):
    """The answer, which has to be a JSON object."""
    if not isinstance(answer, dict):
        raise NetError("the answer isn't a JSON object")
    return answer


def checked_id(text, what):
    """The id, if it can become part of an address without leading anywhere else."""
    if not isinstance(text, str) or not 0 < len(text) <= _ID_LIMIT:
        raise NetError("no usable id for the %s" % what)
    for char in text:
        if char not in _ID_CHARS:
            raise NetError("no usable id for the %s" % what)
    return text


def _words(text, limit):
    return printable(text, limit) if isinstance(text, str) else ""
