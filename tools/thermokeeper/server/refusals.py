"""What the server refuses, and in which words: `http.errors` turns it into an answer."""

from collections.abc import Mapping


class ApiError(Exception):
    """A refusal: HTTP status, a word that programs compare, one line for a person (never with a secret in it)."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers) if headers else None


class Busy(ApiError):
    """More than the server can work on, or others have been writing for too long: the caller tries again."""

    def __init__(self) -> None:
        super().__init__(503, "busy", "too many calls at once; try again", {"Retry-After": "2"})


def unauthorized(header: str) -> ApiError:
    """401 for a missing or wrong key; both say the same, so that nothing is learnt by trying."""
    message = f"the key is missing or wrong; send a valid one in the header {header}"
    return ApiError(401, "unauthorized", message, {"WWW-Authenticate": f'Key header="{header}"'})


def not_found(what: str) -> ApiError:
    return ApiError(404, "not_found", f"there is no such {what}")


def conflict(code: str, message: str) -> ApiError:
    return ApiError(409, code, message)


def too_many_tries(wait_s: int) -> ApiError:
    message = f"too many tries; try again in {wait_s} seconds"
    return ApiError(429, "too_many_tries", message, {"Retry-After": str(wait_s)})


def too_many_points(wait_s: int) -> ApiError:
    message = f"too many datapoints of this thing; try again in {wait_s} seconds"
    return ApiError(429, "too_many_points", message, {"Retry-After": str(wait_s)})


def disk_full() -> ApiError:
    message = "the server's disk is full: nothing new is taken until there is room; what is there can be read"
    return ApiError(507, "disk_full", message, {"Retry-After": "60"})


def blocked() -> ApiError:
    return ApiError(403, "serial_blocked", "this serial number is blocked; ask the vendor")


def role_needed(needed: str, account: str, role: str) -> ApiError:
    message = f"this call needs the role {needed}, and the account {account} is a {role}"
    return ApiError(403, "role_needed", message)
