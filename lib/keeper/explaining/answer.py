"""A server's refusal in its own words, as far as they may be shown."""

from keeper.errors import CloudError, NetError
from keeper.talking.address import number, printable

_ERROR_LIMIT = 1024
_CODE_LIMIT = 40
_MESSAGE_LIMIT = 120
_RETRY_LIMIT_S = 86_400


def refusal(response, read):
    """The CloudError of an answer from 400 on. read: gives what a body of up to so many bytes says."""
    status = response.status
    code = message = ""
    try:
        told = read(response, _ERROR_LIMIT)["error"]
        code, message = _words(told["code"], _CODE_LIMIT), _words(told["message"], _MESSAGE_LIMIT)
    except (NetError, KeyError, TypeError, IndexError):
        pass  # a proxy's page, perhaps: the status says enough
    error = CloudError(status, code, message or "the server answers %d" % status)
    asked = number(response.headers.get("retry-after", ""), 10)  # given as a date it is not used
    error.retry_after_ms = None if asked is None else min(asked, _RETRY_LIMIT_S) * 1000
    return error


def _words(text, limit):
    return printable(text, limit) if isinstance(text, str) else ""
