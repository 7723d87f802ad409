"""What may stand before a deployment, with bad manners: a proxy that a test can tell how to behave."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PAGE = b"<html><head><title>Sign in &amp; go on</title></head></html>"


class Proxy:
    """Passes requests on to a deployment, or does something else.

    Attributes:
        mode: How it behaves: ``ok``; an HTTP status such as ``401`` or ``503``; ``login`` (leads to
            ``elsewhere``), ``page`` (answers with a web page), ``lost`` (gives no answer at all), ``broken`` (passes
            on all but launches, which it answers with 500), ``deaf`` (passes on all but reports, which it answers
            with an empty document). What passes a launch on, and answers otherwise: ``cut`` (not at all), ``late``
            (a page, 524), ``garbled`` (half of it), ``empty`` (no data).
        token: What the header has to have; None: nothing.
        header: The header's name.
        seen: The headers of all requests.
    """

    def __init__(self, upstream: str, token: str | None = None, header: str = "Authorization") -> None:
        self.upstream, self.token, self.header = upstream, token, header
        self.mode = "ok"
        self.elsewhere = "http://127.0.0.1:1/"
        self.seen: list[dict[str, str]] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                proxy.seen.append(dict(self.headers.items()))
                proxy.answer(self, body)

            do_GET = do_POST  # noqa: N815

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        launches = b"launchRun" in body
        if self.mode.isdecimal():
            reply(request, int(self.mode), b"no", "text/plain")
        elif self.mode == "login":
            reply(request, 302, b"", "text/plain", Location=self.elsewhere)
        elif self.mode == "page":
            reply(request, 200, PAGE, "text/html")
        elif self.token is not None and request.headers.get(self.header) != self.token:
            reply(request, 401, b'{"error": "unauthorized"}')
        elif self.mode == "lost":
            request.close_connection = True
        elif self.mode == "broken" and launches:
            reply(request, 500, b'{"errors": [{"message": "the launcher is on fire"}]}')
        elif self.mode == "deaf" and "/report_asset_" in request.path:
            reply(request, 200, b"{}")
        else:
            found = self.passed_on(request, body)
            instead = {"late": (524, PAGE, "text/html"), "empty": (200, b'{"data": {}}', "application/json")}
            instead["garbled"] = (200, found[1][: len(found[1]) // 2], found[2])
            if self.mode == "cut" and launches:
                request.close_connection = True
            else:
                reply(request, *(instead.get(self.mode, found) if launches else found))

    def passed_on(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes, str]:
        headers = {"Content-Type": request.headers.get("Content-Type", "application/json")}
        path = request.path.removeprefix("/prod")
        try:
            with urllib.request.urlopen(
                urllib.request.Request(self.upstream + path, body, headers)
            ) as answer:
                return answer.status, answer.read(), answer.headers["Content-Type"]
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers["Content-Type"]
        except OSError:
            return 502, b"bad gateway", "text/plain"


def reply(
    request: BaseHTTPRequestHandler, code: int, body: bytes, kind: str = "application/json", **headers: Any
) -> None:
    request.send_response(code)
    for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


@contextmanager
def proxy(upstream: str, token: str | None = None, header: str = "Authorization") -> Iterator[Proxy]:
    """A proxy while the block lasts."""
    found = Proxy(upstream, token, header)
    try:
        yield found
    finally:
        found.server.shutdown()
        found.server.server_close()
