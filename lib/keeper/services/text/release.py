"""Firmware from a service as base64 text in JSON: a stream from its start on. Must not know a service's calls."""

from keeper.services.answers import check_status
from keeper.services.text.base64stream import Base64Stream

_LIMIT_BYTES = 16 * 1024 * 1024


class TextRelease:
    """Its size shows only at its end. A response that can't be one is closed."""

    resumable = False
    offset = 0
    size = None
    end = None
    etag = None

    def __init__(self, response):
        try:
            check_status(response, (200,))
            self._response = response
            self.readinto = Base64Stream(response, _LIMIT_BYTES).readinto
        except BaseException:  # a pulse may end it as well
            response.close()
            raise

    def close(self):
        self._response.close()
