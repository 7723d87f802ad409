"""A git server over HTTP on loopback: git's own http-backend, with accounts."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Server:
    """What the server does with a request, and how many bytes it was sent.

    Args:
        writers: Tokens that may push; readers: tokens that may fetch; anonymous: whether anybody may fetch.
    """

    def __init__(self, root: Path, writers: set[str], readers: set[str], anonymous: bool) -> None:
        self.root, self.writers, self.readers, self.anonymous = root, writers, readers, anonymous
        self.url = ""
        self.received = 0

    def refusal(self, path: str, authorizations: list[str]) -> int | None:
        """The status that the request is refused with; None if it is not."""
        if len(authorizations) > 1:
            return 400
        token = ""
        if authorizations:
            token = base64.b64decode(authorizations[0].split()[1]).decode().partition(":")[2]
            if token not in self.writers | self.readers:
                return 401
        elif not self.anonymous:
            return 401
        if "git-receive-pack" in path and token not in self.writers:
            return 403 if token else 401
        return None


@contextmanager
def serving(
    root: Path,
    *,
    writers: set[str] | None = None,
    readers: set[str] | None = None,
    anonymous: bool = False,
) -> Iterator[Server]:
    """Serve the bare repositories below ``root``."""
    server = Server(root, writers or set(), readers or set(), anonymous)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.answer(b"")

        def do_POST(self) -> None:
            self.answer(self.body())

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def answer(self, body: bytes) -> None:
            refused = server.refusal(self.path, self.headers.get_all("Authorization") or [])
            server.received += len(body)
            if refused is not None:
                self.reply(refused, {"WWW-Authenticate": 'Basic realm="git"'}, b"no\n")
                return
            path, _, query = self.path.partition("?")
            environ = {
                **os.environ,
                "GIT_PROJECT_ROOT": str(server.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_USER": "somebody",
                "REMOTE_ADDR": "127.0.0.1",
            }
            done = subprocess.run(
                ["git", "http-backend"], input=body, env=environ, capture_output=True, check=False
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.reply(int(headers.pop("Status", "200").split()[0]), headers, content)

        def reply(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
