"""Addresses and tokens, and answers that no Dagster gives."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from raw_trigger.errors import DeploymentError, UnreachableError
from raw_trigger.model.project import DagsterOptions
from raw_trigger.remote.graph import commit_in, commit_of_image
from raw_trigger.remote.server import RefusedError, Server, address


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://localhost:3000/", "http://localhost:3000"),
        ("https://x.example/dagster/graphql", "https://x.example/dagster"),
        ("https://x.example/dagster/graphql/", "https://x.example/dagster"),
        ("https://acme.dagster.cloud", "https://acme.dagster.cloud/prod"),
        ("https://acme.dagster.cloud/", "https://acme.dagster.cloud/prod"),
        ("https://acme.dagster.cloud/staging", "https://acme.dagster.cloud/staging"),
        ("https://acme.dagster.plus/graphql", "https://acme.dagster.plus/prod"),
        ("https://dagster.cloud.example", "https://dagster.cloud.example"),
    ],
)
def test_addresses(url: str, expected: str) -> None:
    assert address(url) == expected


@pytest.mark.parametrize(
    ("options", "environ", "sent"),
    [
        (DagsterOptions(url="https://x"), {"DAGSTER_CLOUD_API_TOKEN": "t"}, {}),
        (DagsterOptions(url="https://x", token_env="T"), {"T": " t\n"}, {"authorization": "Bearer t"}),
        (
            DagsterOptions(url="https://x", token_env="T"),
            {"T": "Basic YQ=="},
            {"authorization": "Basic YQ=="},
        ),
        (DagsterOptions(url="https://x", token_env="T", token_header="X-Key"), {"T": "t"}, {"x-key": "t"}),
        (
            DagsterOptions(url="https://a.dagster.cloud"),
            {"DAGSTER_CLOUD_API_TOKEN": "user:1"},
            {"dagster-cloud-api-token": "user:1"},
        ),
        (
            DagsterOptions(url="https://a.dagster.plus/prod", token_env="T"),
            {"T": "t", "DAGSTER_CLOUD_API_TOKEN": "other"},
            {"dagster-cloud-api-token": "t"},
        ),
    ],
)
def test_the_token_and_its_header(
    options: DagsterOptions, environ: dict[str, str], sent: dict[str, str]
) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"data": {"version": "1"}})

    assert Server(options, environ, httpx.MockTransport(answer)).ask("{ version }") == {"version": "1"}
    [request] = seen
    names = ("authorization", "x-key", "dagster-cloud-api-token")
    assert {name: request.headers[name] for name in names if name in request.headers} == sent
    assert request.url.path.endswith("/graphql")


def told(answer: httpx.Response | Callable[[httpx.Request], httpx.Response]) -> DeploymentError:
    transport = httpx.MockTransport(answer if callable(answer) else lambda _: answer)
    with pytest.raises(DeploymentError) as error:
        Server(DagsterOptions(url="https://x"), {}, transport).ask("{ version }")
    return error.value


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (httpx.Response(200, text="nothing"), "there is no Dagster webserver at https://x (200 OK: nothing)"),
        (httpx.Response(200, json=[1]), "there is no Dagster webserver at https://x (200 OK: [1])"),
        (httpx.Response(200, json={}), "https://x refused what it was asked: {}"),
        (httpx.Response(200, json={"data": None}), 'https://x refused what it was asked: {"data": null}'),
        (httpx.Response(200, json={"errors": "no"}), "https://x refused what it was asked: "),
        (
            httpx.Response(400, json={"errors": [{"message": "Cannot query\nfield"}]}),
            "https://x refused what it was asked: Cannot query field",
        ),
        (httpx.Response(200, text="<html>"), "https://x answers with a web page, not as Dagster does"),
        (
            httpx.Response(500, text="x" * 999),
            "https://x fails (500 Internal Server Error: ",
        ),
        (httpx.Response(200, content=b"\xff\xfe{"), "there is no Dagster webserver at https://x (200 OK: "),
    ],
)
def test_what_no_dagster_says(answer: httpx.Response, message: str) -> None:
    error = told(answer)
    assert error.message.startswith(message)
    assert len(error.message) < 350


@pytest.mark.parametrize(("code", "arrived"), [(502, True), (503, True), (504, True), (429, True)])
def test_what_stands_before_it_says_that_it_is_away(code: int, arrived: bool) -> None:
    error = told(httpx.Response(code, text="no"))
    assert isinstance(error, UnreachableError)
    assert error.arrived == arrived


@pytest.mark.parametrize(
    ("raised", "arrived"),
    [
        (httpx.ConnectError("refused"), False),
        (httpx.ConnectTimeout("late"), False),
        (httpx.ReadTimeout(""), True),
        (httpx.RemoteProtocolError("cut"), True),
        (httpx.WriteError("cut"), True),
    ],
)
def test_whether_a_request_may_have_arrived(raised: Exception, arrived: bool) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise raised

    error = told(answer)
    assert isinstance(error, UnreachableError)
    assert error.arrived == arrived


def test_a_refusal_is_one_of_this_request_alone() -> None:
    assert isinstance(told(httpx.Response(200, json={"errors": [{"message": "no"}]})), RefusedError)
    assert not isinstance(told(httpx.Response(401)), RefusedError)


@pytest.mark.parametrize(
    ("image", "commit"),
    [
        ("registry.example.com/shop:1a2b3c4", "1a2b3c4"),
        ("registry.example.com:5000/shop:1a2b3c4d", "1a2b3c4d"),
        ("registry.example.com:5000/shop", None),
        ("shop:latest", None),
        ("shop:1a2b3c", None),
        ("shop:1a2b3c4@sha256:00", "1a2b3c4"),
        ("", None),
    ],
)
def test_the_commit_that_an_image_names(image: str, commit: str | None) -> None:
    assert commit_of_image(image) == commit


def test_what_may_be_a_commit() -> None:
    assert [commit_in(one) for one in ("1a2b3c4", "main", "--help", "1A2B3C4", "")] == [
        "1a2b3c4",
        *[None] * 4,
    ]
