"""A connection to the server: opened with a token, its certificate checked, refusals and pages understood.

Whatever goes wrong is a ToolError with one line; a refusal of the server is a `Refused`, with its status and code.
"""

import ipaddress
import ssl
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from thermokeeper.contract import schemas
from thermokeeper.contract.faults import in_words
from thermokeeper.contract.fields import is_word
from thermokeeper.errors import ToolError

_TIMEOUT = httpx.Timeout(30, connect=5)
_PAGE = 1000
_NAMES_SHOWN = 10


class _Named(Protocol):
    id: str
    name: str


Named = TypeVar("Named", bound=_Named)
Answer = TypeVar("Answer")
Request = TypeVar("Request", bound=BaseModel)


class Refused(ToolError):
    """The server refused: `status` is the HTTP status, `code` its own word."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"the server refuses: {message} ({status} {code})")
        self.status = status
        self.code = code


class Connection:
    def __init__(self, url: str, header: str, token: str, ca: Path | None) -> None:
        try:
            # redirects aren't followed
            self._http = httpx.Client(
                base_url=url,
                headers={header: token},
                timeout=_TIMEOUT,
                verify=_trusted(url, ca),
                trust_env=not _is_loopback(url),  # no proxy could reach this machine's own addresses
            )
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise ToolError(f"the server's address or the token is not one: {error}") from None
        except (ValueError, ImportError):  # of a proxy's address, which may have a password in it
            raise ToolError(
                f"the proxy that the environment names for {url} can't be used: take one that begins with http://, or "
                "put the server's host into no_proxy"
            ) from None
        self.url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def _call(self, kind: type[Answer] | Any, method: str, path: str, body: object = None, **options: Any) -> Answer:
        """The answer as `kind`; None for 204. A pydantic model as body goes as JSON, without what wasn't set."""
        if isinstance(body, BaseModel):
            options["json"] = body.model_dump(mode="json", by_alias=True, exclude_unset=True)
        with self._faults():
            response = self._http.request(method, path, **options)
        if response.is_success:
            try:
                return TypeAdapter(kind).validate_json(response.content or b"null")
            except ValidationError:
                raise ToolError(f"what answers at {self.url} is not a Thermokeeper server of this version") from None
        raise self._refusal(response)

    def _stream(self, path: str, **query: str | None) -> Iterator[bytes]:
        """An answer's body in pieces, as they come."""
        params = {name: value for name, value in query.items() if value is not None}
        with self._faults(), self._http.stream("GET", path, params=params) as response:
            if response.is_success:
                try:
                    yield from response.iter_bytes()
                except httpx.RemoteProtocolError:
                    raise ToolError(f"the server at {self.url} broke off: what came isn't whole; try again") from None
                return
            response.read()
            raise self._refusal(response)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """What goes wrong on the way, as a ToolError."""
        try:
            yield
        except (httpx.UnsupportedProtocol, httpx.InvalidURL):
            raise ToolError(f"{self.url} is no server's address; it looks like http://127.0.0.1:8210") from None
        except httpx.TimeoutException:
            raise ToolError(f"the server at {self.url} does not answer in time") from None
        except httpx.TransportError as error:
            if (fault := _certificate_fault(error)) is not None:
                raise ToolError(f"the server at {self.url} isn't trusted ({fault}); give its CA with --ca") from None
            reason = str(error) or type(error).__name__
            if (proxy := _proxy_for(self.url)) is not None:
                raise ToolError(
                    f"no answer from {self.url} by the proxy that {proxy} names ({reason}); put the server's host into "
                    "no_proxy if it needs none"
                ) from None
            hint = "start one with `thermokeeper server run`, or name it with --server"
            raise ToolError(f"no server at {self.url} ({reason}); {hint}") from None

    def _refusal(self, response: httpx.Response) -> ToolError:
        try:
            refusal = schemas.ErrorBody.model_validate_json(response.content).error
        except ValidationError:
            return ToolError(f"{self.url}: {_of_something_else(response)}")
        return Refused(response.status_code, refusal.code, refusal.message)

    def _pages(self, kind: type[BaseModel], path: str, limit: int | None, **query: str | None) -> Iterator[Any]:
        """The items of all pages, up to `limit`."""
        params: dict[str, Any] = {name: value for name, value in query.items() if value is not None}
        left = limit
        while left is None or left > 0:
            params["limit"] = _PAGE if left is None else min(left, _PAGE)
            page: schemas.Page[Any] = self._call(schemas.Page[kind], "GET", path, params=params)  # type: ignore[valid-type]
            yield from page.items
            left = None if left is None else left - len(page.items)
            if page.next is None:
                return
            params["after"] = page.next


def _of_something_else(response: httpx.Response) -> str:
    """What an answer means that isn't in our form: a proxy's own page, most often."""
    status = response.status_code
    if status == 413:
        return "a proxy on the way takes no body of this size (413): raise its limit, 32 MB are enough for a firmware"
    if status in (502, 503, 504):
        return f"a proxy answers ({status}), the server behind it doesn't: does that run?"
    if response.is_redirect:
        return f"the server is at {response.headers.get('location', 'another address')} ({status}): give that address"
    if status in (401, 407):
        return f"a proxy on the way asks for a login ({status}): the server's calls have to get past it"
    return f"what answers is not a Thermokeeper server ({status})"


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _proxy_for(url: str) -> str | None:
    """Name of the variable that names a proxy for this address, if there is one."""
    parsed = httpx.URL(url)
    if _is_loopback(url) or urllib.request.proxy_bypass(parsed.host):
        return None
    found = urllib.request.getproxies()
    return next((f"{scheme}_proxy" for scheme in (parsed.scheme, "all") if scheme in found), None)


def _trusted(url: str, ca: Path | None) -> ssl.SSLContext | bool:
    """What httpx is to verify with. Plain http needs no certificates, and loading them takes longer than a call."""
    if url.lower().startswith("http://"):
        return False
    if ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError:
        raise ToolError(f"{ca} isn't the certificate of a CA in PEM form") from None
    except OSError as error:
        raise ToolError(f"{ca} can't be read: {error.strerror}") from None


def _certificate_fault(error: BaseException | None) -> str | None:
    """Why the server's certificate was refused, if that is what went wrong."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message or "its certificate is refused"
        error = error.__cause__ or error.__context__
    return None


def request(kind: type[Request], **members: Any) -> Request:
    """A checked request; what is wrong with it is known before anything is sent."""
    try:
        return kind(**members)
    except ValidationError as error:
        fault = error.errors()[0]
        where = " ".join(str(part) for part in fault["loc"])
        raise ToolError(f"{where}: {in_words(fault)}") from None


def segment(text: str) -> str:
    """One segment of a path, from what a person gave."""
    if not is_word(text):
        raise ToolError(f"{text!r} has characters that it can't have, or too many")
    return text


def pick(what: str, name_or_id: str, found: Iterable[Named]) -> Named:
    """The one with this id or name. ToolError tells which there are."""
    names: list[str] = []
    for item in found:
        if name_or_id in (item.id, item.name):
            return item
        if len(names) < _NAMES_SHOWN:
            names.append(item.name)
    raise ToolError(f"there is no {what} {name_or_id!r}; there is: {', '.join(names) or 'none'}")
