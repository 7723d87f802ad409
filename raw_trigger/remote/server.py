"""The webserver of a deployment: one question, one answer, and every way in which there is none."""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from html import unescape
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from raw_trigger.errors import DeploymentError, UnreachableError
from raw_trigger.model.project import DagsterOptions

if TYPE_CHECKING:
    import httpx

_P = ParamSpec("_P")
_R = TypeVar("_R")

PATIENCE = 60.0
"""Seconds in which a webserver answers: it may have to load what it was not asked for before."""
_CONNECT = 10.0
_MOST = 1 << 28
"""Bytes that an answer has at most: the graph of a hundred thousand assets has fewer."""
_HEAD = 1 << 16
_PLUS = (".dagster.cloud", ".dagster.plus")
_PLUS_TOKEN = "DAGSTER_CLOUD_API_TOKEN"
_PLUS_HEADER = "Dagster-Cloud-Api-Token"
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_SHOWN = 200
"""Characters of an answer that are shown: it may be anybody's."""
_REFUSED = (401, 403, 407)
_AWAY = (408, 425, 429, 502, 503, 504)
"""Answers of what stands before a webserver that is away or has too much to do."""


class RefusedError(DeploymentError):
    """Says why a deployment does not do what it was told: this alone, it may well do other things."""


class Server:
    """Asks the webserver of a deployment.

    Args:
        options: Where it is and how to get in. The address of Dagster+ implies its header, the variable of
            its token and, if it has no path, the deployment ``prod``.
        environ: Has the token.
        transport: As of httpx; None: the network.

    Attributes:
        url: Its address, without a path that only the API has.
    """

    def __init__(
        self,
        options: DagsterOptions,
        environ: Mapping[str, str],
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        assert options.url is not None
        self.url = address(options.url)
        self._is_plus = _is_plus(self.url)
        self._variable = options.token_env or (_PLUS_TOKEN if self._is_plus else None)
        self._header = options.token_header or (_PLUS_HEADER if self._is_plus else "Authorization")
        self._environ = environ
        self._transport = transport
        self._client: httpx.Client | None = None
        self._ahead = 0.0

    def now(self) -> float:
        """Returns the time by the webserver's clock, in seconds since 1970, as its last answer told it."""
        return time.time() + self._ahead

    def close(self) -> None:
        """Closes its connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def ask(self, query: str, **variables: Any) -> Mapping[str, Any]:
        """Returns the answer to a query, which changes nothing: a connection that breaks is made once more.

        Raises:
            DeploymentError: there is none.
        """
        try:
            return self.tell(query, **variables)
        except UnreachableError as error:
            if not error.arrived:
                raise
            return self.tell(query, **variables)

    def tell(self, mutation: str, **variables: Any) -> Mapping[str, Any]:
        """Returns the answer to a mutation.

        Raises:
            UnreachableError: there is none, and it may have been carried out if ``arrived``.
            DeploymentError: it was refused, and nothing came of it.
        """
        document = self._sent("/graphql", {"query": mutation, "variables": variables})
        problems = document.get("errors")
        problems = problems if isinstance(problems, list) or not problems else [{"message": str(problems)}]
        if problems or not isinstance(document.get("data"), dict):
            told = [str(one.get("message")) for one in problems or () if isinstance(one, dict)]
            raise RefusedError(f"{self.url} refused what it was asked: {shown('; '.join(told) or document)}")
        found: Mapping[str, Any] = document["data"]
        return found

    def post(self, path: str, document: Mapping[str, Any]) -> None:
        """Sends a document to one of the addresses of the API that are not GraphQL.

        Raises:
            DeploymentError: as of :meth:`tell`.
        """
        answer = self._sent(path, document)
        if "error" in answer:
            raise RefusedError(f"{self.url} refused what it was told: {shown(answer['error'])}")

    def _sent(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        import httpx

        client = self._connected()
        until = time.monotonic() + PATIENCE
        try:
            with client.stream("POST", self.url + path, json=document) as answer:
                body = bytearray()
                for piece in answer.iter_bytes():
                    body += piece
                    if time.monotonic() > until or len(body) > _MOST:
                        raise httpx.ReadTimeout("its answer does not end")
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise UnreachableError(f"{self.url} cannot be reached: {_words(error)}", _AGAIN) from error
        except httpx.ProxyError as error:
            raise UnreachableError(f"the proxy for {self.url} refuses: {_words(error)}", _AGAIN) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise UnreachableError(
                f"{self.url} gave no answer: {_words(error)}", _AGAIN, arrived=True
            ) from error
        except httpx.InvalidURL as error:
            raise DeploymentError(
                f"{self.url} is no address: {error}", "write another dagster.url"
            ) from error
        with suppress(TypeError, ValueError):  # without a date, or with none that is one
            self._ahead = parsedate_to_datetime(answer.headers.get("date", "")).timestamp() - time.time()
        return self._read(answer, bytes(body))

    def _connected(self) -> httpx.Client:
        if self._client is None:
            try:
                import httpx
            except ImportError:
                raise DeploymentError(
                    "launcher: graphql needs the package httpx, which is not installed here",
                    "pip install 'raw-trigger[graphql]'",
                ) from None
            from raw_trigger import __version__

            headers = {"Accept": "application/json", "User-Agent": f"raw-trigger/{__version__}"}
            token = self._token()
            if token is not None:
                headers[self._header] = token
            # A redirect is a login page, or another host, and the token is for neither.
            self._client = httpx.Client(
                headers=headers,
                timeout=httpx.Timeout(PATIENCE, connect=_CONNECT),
                follow_redirects=False,
                transport=self._transport,
            )
        return self._client

    def _token(self) -> str | None:
        if self._variable is None:
            return None
        token = self._environ.get(self._variable, "").strip()
        if not token:
            raise DeploymentError(
                f"the token for {self.url} is not there: ${self._variable} is not set",
                "set it, or name another variable in dagster.token_env",
            )
        if not (token.isascii() and token.isprintable()):
            raise DeploymentError(f"${self._variable} has characters that no token has", "set it again")
        is_bearer = self._header.lower() == "authorization" and " " not in token
        return f"Bearer {token}" if is_bearer else token

    def _read(self, answer: httpx.Response, body: bytes) -> dict[str, Any]:
        text = body[:_HEAD].decode("utf-8", "replace")
        code, reason = answer.status_code, answer.reason_phrase
        if code in _REFUSED:
            raise DeploymentError(f"{self.url} {self._lets_nobody_in()} ({code} {reason})", self._key_hint())
        if answer.is_redirect or answer.has_redirect_location:
            target = shown(answer.headers.get("location", ""))
            raise DeploymentError(
                f"{self.url} leads elsewhere ({code}, to {target}), and no token is sent there",
                "a login page: give a token in dagster.token_env; else write that address as dagster.url",
            )
        if code in _AWAY:
            raise UnreachableError(
                f"{self.url} is not there at the moment ({code} {reason})", _AGAIN, arrived=True
            )
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict):
            return document
        page = _page(answer, text)
        if page is not None and not answer.is_client_error:
            raise DeploymentError(
                f"{self.url} answers with a web page{page}, not as Dagster does",
                self._key_hint("a login page? "),
            )
        what = f"{code} {reason}: {shown(text)}"
        if answer.is_server_error:
            raise DeploymentError(f"{self.url} fails ({what})", "see the log of the webserver")
        raise DeploymentError(f"there is no Dagster webserver at {self.url} ({what})", "see dagster.url")

    def _lets_nobody_in(self) -> str:
        return "wants a token" if self._variable is None else f"refuses the token of ${self._variable}"

    def _key_hint(self, beginning: str = "") -> str:
        if self._variable is None:
            return f"{beginning}name the variable that has a token in dagster.token_env"
        return f"{beginning}see whether the token is right and may launch runs, and the header {self._header}"


def understood(ask: Callable[_P, _R]) -> Callable[_P, _R]:
    """Returns the function so that it raises an error where an answer is not one that Dagster gives."""

    @functools.wraps(ask)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return ask(*args, **kwargs)
        except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise DeploymentError(
                f"the deployment answers as no Dagster does ({type(error).__name__}: {shown(str(error))})",
                "see dagster.url; Dagster 1.7 or later is needed there",
            ) from error

    return wrapper


_AGAIN = "try again when it is there; nothing that is pending is lost"


def address(url: str) -> str:
    """Returns the address that paths of the API are added to."""
    found = url.rstrip("/").removesuffix("/graphql").rstrip("/")
    return f"{found}/prod" if _is_plus(found) and urlsplit(found).path == "" else found


def _is_plus(url: str) -> bool:
    return (urlsplit(url).hostname or "").endswith(_PLUS)


def shown(value: object) -> str:
    """Returns the beginning of somebody's text, as one line."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"


def _words(error: Exception) -> str:
    return shown(str(error)) or type(error).__name__


def _page(answer: httpx.Response, text: str) -> str | None:
    """The title of a web page, in brackets; None if the answer is none."""
    if "html" not in answer.headers.get("content-type", "") and text.lstrip()[:1] != "<":
        return None
    title = _TITLE.search(text)
    return "" if title is None else f" ('{shown(unescape(title[1]))}')"
