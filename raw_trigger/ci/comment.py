"""Keeps one comment on a pull request up to date, through GitHub's REST interface.

Every error becomes a warning: a comment never makes a job fail.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Literal

LIMIT = 65_536
"""The longest comment that GitHub takes, in characters."""

ACTIONS_BOT = "github-actions[bot]"
"""The author of what is written with the token of a workflow."""

_PAGE = 100
_SECONDS = 20
_CUT = "\n\n… cut off here: the summary of the run has all of it.\n"


@dataclass(frozen=True, slots=True)
class PullRequest:
    """Says where the comment goes. ``api`` is ``GITHUB_API_URL``, ``graphql`` ``GITHUB_GRAPHQL_URL``."""

    api: str
    repository: str
    number: int
    token: str = field(repr=False)
    graphql: str | None = None


@dataclass(frozen=True, slots=True)
class Posted:
    """Says whether the comment was written.

    With ``none`` no comment was asked for; with ``failed`` there is a ``warning``.
    """

    status: Literal["created", "updated", "unchanged", "none", "failed"]
    url: str | None = None
    warning: str | None = None


def marker(workflow: str, environment: str) -> str:
    """Returns the hidden first line that identifies the comment. No name can break out of it."""
    key = json.dumps([workflow, environment])
    return f"<!-- raw-trigger:{hashlib.sha256(key.encode()).hexdigest()[:32]} -->"


def put(pull: PullRequest, mark: str, body: str, *, create: bool = True) -> Posted:
    """Writes the comment or updates the present one. Never raises.

    Only a comment that begins with the marker and was written by the token's own user is changed: anybody can
    write a marker. Of several the oldest is updated.

    Args:
        create: Whether to write one if there is none.
    """
    try:
        api = _Api(pull)
        text = _bounded(f"{mark}\n{body}")
        known = _find(api, mark)
        if known is None:
            if not create:
                return Posted("none")
            made = api.call("POST", f"issues/{pull.number}/comments", {"body": text})
            return Posted("created", _url(made))
        if _same(known.get("body"), text):
            return Posted("unchanged", _url(known))
        made = api.call("PATCH", f"issues/comments/{int(known['id'])}", {"body": text})
        return Posted("updated", _url(made))
    except urllib.error.HTTPError as error:
        return Posted("failed", warning=_refused(error))
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = getattr(error, "reason", None) or error
        return Posted("failed", warning=f"no comment on the pull request: {type(error).__name__}: {reason}")


class _Api:
    def __init__(self, pull: PullRequest) -> None:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", pull.repository, re.ASCII):
            raise ValueError(f"{pull.repository!r} is no repository")
        if not (pull.token.isascii() and pull.token.isprintable()):
            # The error of http.client would quote the token.
            raise ValueError("the token is not a single line of plain characters")
        self._pull = pull
        self._opener = urllib.request.build_opener(_SameHost)

    def call(self, method: str, path: str, body: object = None) -> Any:
        return self._request(
            method, f"{self._pull.api.rstrip('/')}/repos/{self._pull.repository}/{path}", body
        )

    def author(self) -> str:
        """Returns the login of the token's user. A workflow's token may ask GraphQL for it, but not REST."""
        if self._pull.graphql is None:
            return ACTIONS_BOT
        try:
            answer = self._request("POST", self._pull.graphql, {"query": "query { viewer { login } }"})
            return str(answer["data"]["viewer"]["login"])
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            return ACTIONS_BOT

    def _request(self, method: str, url: str, body: object) -> Any:
        if urllib.parse.urlsplit(url).scheme not in ("https", "http"):
            raise ValueError(f"{url!r} is no address of an API")
        request = urllib.request.Request(
            url,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Accept": "application/vnd.github+json",
                "Content-Type": "application/json",
                "User-Agent": "raw-trigger",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        # An unredirected header: urllib would send any other one to the host of a redirect.
        request.add_unredirected_header("Authorization", f"Bearer {self._pull.token}")
        with self._opener.open(request, timeout=_SECONDS) as response:
            return json.loads(response.read())


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows the redirect of a renamed repository with the token, but never to another host."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        here, there = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        if (here.scheme, here.netloc) != (there.scheme, there.netloc) or code not in (301, 302, 307, 308):
            return None
        moved = urllib.request.Request(newurl, data=req.data, headers=req.headers, method=req.get_method())
        moved.add_unredirected_header("Authorization", req.unredirected_hdrs["Authorization"])
        return moved


def _find(api: _Api, mark: str) -> dict[str, Any] | None:
    author: str | None = None
    page = 1
    while True:
        # By number, not by the URL in the answer: the token goes to no other host.
        found = api.call("GET", f"issues/{api._pull.number}/comments?per_page={_PAGE}&page={page}")
        for comment in found:
            if str(comment.get("body") or "").lstrip().startswith(mark):
                author = author or api.author()
                if (comment.get("user") or {}).get("login") == author:
                    return dict(comment)
        if len(found) < _PAGE:
            return None
        page += 1


def _same(one: object, other: str) -> bool:
    return isinstance(one, str) and one.replace("\r\n", "\n").strip() == other.strip()


def _bounded(body: str) -> str:
    clean = body.encode("utf-8", "replace").decode()
    if len(clean) <= LIMIT:
        return clean
    kept = clean[: LIMIT - len(_CUT)]
    return kept[: kept.rfind("\n") + 1 or len(kept)] + _CUT


def _url(comment: Any) -> str | None:
    return str(comment["html_url"]) if comment.get("html_url") else None


def _refused(error: urllib.error.HTTPError) -> str:
    limited = error.headers.get("x-ratelimit-remaining") == "0" or error.headers.get("retry-after")
    hints = {
        401: "the token is not valid",
        403: "the token may not write comments: the job needs `permissions: pull-requests: write`",
        404: "the token cannot see the pull request: the job needs `permissions: pull-requests: write`",
        422: "GitHub did not accept it",
    }
    why = (
        "GitHub's rate limit is used up"
        if limited
        else hints.get(error.code, "GitHub did not answer as it should")
    )
    return f"no comment on the pull request ({error.code}): {why}"
