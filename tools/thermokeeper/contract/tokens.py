"""The token of a vendor or an owner: what may be one, and the file in which a server keeps its vendor's."""

from pathlib import Path

from thermokeeper.errors import ToolError

TOKEN_FILE = "vendor-token"
_MIN_TOKEN = 16


def read_token(path: Path) -> str:
    """A token from a file, checked."""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ToolError(f"the token file {path} can't be read: {getattr(error, 'strerror', 'not text')}") from None
    return check_token(token, str(path))


def check_token(token: str, source: str) -> str:
    if len(token) < _MIN_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise ToolError(f"the token in {source} is no token: it needs at least {_MIN_TOKEN} letters, digits or signs")
    return token
