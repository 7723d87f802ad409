"""The comment, against a server that does what GitHub's REST interface does here."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from raw_trigger.ci import comment, markup
from raw_trigger.ci.comment import Posted, PullRequest
from tests.ci.plans import ALL

MARK = comment.marker("raw data", "production")
BOT = comment.ACTIONS_BOT


@dataclass
class GitHub:
    """Comments of pull request 7 of ``o/r``. ``refuse`` answers everything with a status and headers."""

    url: str = ""
    comments: list[dict[str, Any]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    viewer: str | None = BOT
    refuse: tuple[int, dict[str, str]] | None = None
    garbage: bytes | None = None

    def add(self, body: str, author: str = BOT) -> dict[str, Any]:
        number = 100 + len(self.comments)
        made = {"id": number, "body": body, "user": {"login": author}, "html_url": f"https://h/{number}"}
        self.comments.append(made)
        return made

    def answer(  # noqa: PLR0911
        self, method: str, path: str, body: Any, token: str | None
    ) -> tuple[int, Any, dict[str, str]]:
        self.seen.append(f"{method} {path}")
        if token != "Bearer secret":
            return 401, {"message": "Bad credentials"}, {}
        if self.refuse is not None:
            return self.refuse[0], {"message": "no"}, self.refuse[1]
        if path == "/graphql":
            return (200, {"data": {"viewer": {"login": self.viewer}}}, {}) if self.viewer else (403, {}, {})
        path, _, query = path.partition("?")
        if path.startswith("/repos/old/name/"):
            return 307, {}, {"Location": self.url + path.replace("old/name", "o/r") + (query and f"?{query}")}
        if path == "/repos/o/r/issues/7/comments" and method == "GET":
            size, page = (int(n) for n in re.findall(r"=(\d+)", query))
            return 200, self.comments[(page - 1) * size : page * size], {}
        if body is not None and len(body["body"]) > 65_536:
            return 422, {"message": "body is too long"}, {}
        if path == "/repos/o/r/issues/7/comments":
            return 201, self.add(body["body"]), {}
        known = [c for c in self.comments if path == f"/repos/o/r/issues/comments/{c['id']}"]
        if method == "PATCH" and known:
            known[0]["body"] = body["body"]
            return 200, known[0], {}
        return 404, {"message": "Not Found"}, {}


@pytest.fixture
def github() -> Iterator[GitHub]:
    state = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length") or 0))
            body = json.loads(content) if content else None
            status, answer, headers = state.answer(
                self.command, self.path, body, self.headers["Authorization"]
            )
            raw = json.dumps(answer).encode() if state.garbage is None else state.garbage
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(raw))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PATCH = serve  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def pull(github: GitHub, **more: Any) -> PullRequest:
    known = {"repository": "o/r", "number": 7, "token": "secret", "graphql": f"{github.url}/graphql", **more}
    return PullRequest(api=github.url, **known)


def test_created_once_and_updated_after(github: GitHub) -> None:
    github.add("a review", "somebody")
    assert comment.put(pull(github), MARK, "one") == Posted("created", "https://h/101")
    assert comment.put(pull(github), MARK, "one") == Posted("unchanged", "https://h/101")
    assert comment.put(pull(github), MARK, "two") == Posted("updated", "https://h/101")
    assert [c["body"] for c in github.comments] == ["a review", f"{MARK}\ntwo"]
    assert [one for one in github.seen if "graphql" not in one and "GET" not in one] == [
        "POST /repos/o/r/issues/7/comments",
        "PATCH /repos/o/r/issues/comments/101",
    ]


def test_another_workflow_or_environment_has_its_own(github: GitHub) -> None:
    marks = [
        MARK,
        comment.marker("raw data", "pr-7"),
        comment.marker("raw", "data production"),
        comment.marker("", "-->"),
    ]
    for mark in marks:
        assert re.fullmatch(r"<!-- raw-trigger:[0-9a-f]{32} -->", mark)
        assert comment.put(pull(github), mark, "x").status == "created"
    assert len(github.comments) == len(set(marks)) == 4


def test_only_our_own_is_touched(github: GitHub) -> None:
    """A stranger may copy the marker, and we may be quoted."""
    github.add(f"{MARK}\nforged", "stranger")
    github.add(f"> {MARK}\nquoted")
    github.add(f"{MARK}\nours")
    assert comment.put(pull(github), MARK, "new") == Posted("updated", "https://h/102")
    assert [c["body"] for c in github.comments] == [f"{MARK}\nforged", f"> {MARK}\nquoted", f"{MARK}\nnew"]


@pytest.mark.parametrize(("viewer", "author"), [("our-app[bot]", "our-app[bot]"), (None, BOT)])
def test_who_we_are(github: GitHub, viewer: str | None, author: str) -> None:
    github.viewer = viewer
    github.add(f"{MARK}\nold", author)
    assert comment.put(pull(github), MARK, "new").status == "updated"


def test_without_graphql(github: GitHub) -> None:
    github.add(f"{MARK}\nold")
    assert comment.put(pull(github, graphql=None), MARK, "new").status == "updated"


@pytest.mark.parametrize("before", [99, 100, 250])
def test_on_a_later_page(github: GitHub, before: int) -> None:
    for _ in range(before):
        github.add("talk", "somebody")
    assert comment.put(pull(github), MARK, "one").status == "created"
    assert comment.put(pull(github), MARK, "two").status == "updated"
    assert len(github.comments) == before + 1


def test_not_created_where_nothing_is_to_be_said(github: GitHub) -> None:
    assert comment.put(pull(github), MARK, "nothing", create=False) == Posted("none")
    github.add(f"{MARK}\nold")
    assert comment.put(pull(github), MARK, "nothing", create=False).status == "updated"


def test_a_renamed_repository(github: GitHub) -> None:
    assert comment.put(pull(github, repository="old/name"), MARK, "x") == Posted("created", "https://h/100")


def test_the_token_goes_to_no_other_host(github: GitHub) -> None:
    seen = github.seen
    github.refuse = (302, {"Location": github.url.replace("127.0.0.1", "localhost") + "/stolen"})
    assert comment.put(pull(github), MARK, "x").status == "failed"
    assert seen == ["GET /repos/o/r/issues/7/comments?per_page=100&page=1"]


def test_cut_to_what_github_takes(github: GitHub) -> None:
    body = "| row \N{PILE OF POO} |\n" * 20_000
    assert comment.put(pull(github), MARK, body).status == "created"
    text = github.comments[0]["body"]
    assert 65_000 < len(text) <= 65_536
    assert text.startswith(f"{MARK}\n| row")
    assert text.endswith("|\n\n\n… cut off here: the summary of the run has all of it.\n")


@pytest.mark.parametrize("name", ALL, ids=lambda name: repr(name[:40]))
def test_names_that_mean_harm(github: GitHub, name: bytes) -> None:
    """Whatever the body holds, it arrives, is found again and nothing else is touched."""
    shown = name.decode("utf-8", "surrogateescape")
    for body in (shown, markup.code(shown)):
        mark = comment.marker(shown, body)
        assert comment.put(pull(github), mark, body).status == "created"
        assert comment.put(pull(github), mark, body).status == "unchanged"
        assert comment.put(pull(github), mark, f"{body}.").status == "updated"


NO = "no comment on the pull request"


@pytest.mark.parametrize(
    ("status", "headers", "warning"),
    [
        (401, {}, "(401): the token is not valid"),
        (
            403,
            {},
            "(403): the token may not write comments: the job needs `permissions: pull-requests: write`",
        ),
        (403, {"X-RateLimit-Remaining": "0"}, "(403): GitHub's rate limit is used up"),
        (429, {"Retry-After": "60"}, "(429): GitHub's rate limit is used up"),
        (
            404,
            {},
            "(404): the token cannot see the pull request: the job needs `permissions: pull-requests: write`",
        ),
        (422, {}, "(422): GitHub did not accept it"),
        (502, {}, "(502): GitHub did not answer as it should"),
    ],
)
def test_refused(github: GitHub, status: int, headers: dict[str, str], warning: str) -> None:
    github.refuse = (status, headers)
    assert comment.put(pull(github), MARK, "x") == Posted("failed", None, f"{NO} {warning}")


@pytest.mark.parametrize("garbage", [b"", b"<html>", b"\xff", b"7", b'"text"', b"[1]", b'{"a": 1}'])
def test_an_answer_that_is_none(github: GitHub, garbage: bytes) -> None:
    github.garbage = garbage
    posted = comment.put(pull(github), MARK, "x")
    assert posted.status == "failed"
    assert str(posted.warning).startswith(f"{NO}: ")


def test_nobody_there_and_nonsense(github: GitHub) -> None:
    """Never an exception, and never the token in what is said."""
    fine = pull(github)
    for wrong in (
        replace(fine, api="http://127.0.0.1:9"),
        replace(fine, api="file:///etc"),
        replace(fine, api="nonsense"),
        replace(fine, repository="../../user"),
        replace(fine, token="secret\nX-Evil: 1"),
    ):
        posted = comment.put(wrong, MARK, "x")
        assert posted.status == "failed"
        assert str(posted.warning).startswith(NO)
        assert "secret" not in str(posted.warning)
    assert "secret" not in repr(fine)
    assert not github.seen
