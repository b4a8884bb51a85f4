"""A version of a product's firmware, as a service describes it. Pure."""

_NAME_LIMIT = 64
_DESCRIPTION_LIMIT = 160
_DIGEST_LENGTH = 64


class Version:
    """id, name, description (cut to what a console line takes): text. digest: of its release file, 64 hex, or None."""

    __slots__ = ("description", "digest", "id", "name")

    def __init__(self, version_id, name="", description="", digest=None):
        self.id = version_id
        self.name = _cut(name, _NAME_LIMIT) or version_id
        self.description = _cut(description, _DESCRIPTION_LIMIT)
        self.digest = digest.lower() if _is_digest(digest) else None


def _cut(text, limit):
    if not isinstance(text, str):
        return ""
    return "".join([char if _is_harmless(char) else " " for char in text[:limit]]).strip()


def _is_harmless(char):
    """Whether it neither steers a terminal nor turns the direction of writing (C0, C1, marks, surrogates)."""
    return " " <= char <= "~" or "\xa0" <= char < "\u0600" or "\u2070" <= char <= "\ud7ff"


def _is_digest(text):
    if not isinstance(text, str) or len(text) != _DIGEST_LENGTH:
        return False
    for char in text:
        if char not in "0123456789abcdefABCDEF":
            return False
    return True
