"""What can go wrong between here and a deployment: each has its message, and nothing wrong is recorded."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests.remote.conftest import Shop
from tests.support.deployment import Deployment, free_port
from tests.support.manners import Proxy, proxy

SECRET = "sesame"
TOKEN = {"RAW_TOKEN": SECRET}


@pytest.fixture
def manners(deployment: Deployment) -> Iterator[Proxy]:
    with proxy(deployment.url, f"Bearer {SECRET}") as found:
        yield found


@pytest.fixture
def guarded(shop: Shop, manners: Proxy) -> Shop:
    """What a deployment behind a login makes."""
    shop.configure(url=manners.url, token_env="RAW_TOKEN")
    done = shop.tool("adopt", **TOKEN)  # the deployment has another address by now
    assert done.returncode == 0, done.stderr
    shop.raw({"a.csv": "1\n"})
    return shop


def recorded(shop: Shop) -> str:
    return shop.git("rev-parse", "refs/raw-trigger/deployment")


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("401", "URL refuses the token of $RAW_TOKEN (401 Unauthorized)\n  see whether the token is right"),
        ("403", "URL refuses the token of $RAW_TOKEN (403 Forbidden)\n  see whether the token is right"),
        ("404", "there is no Dagster webserver at URL (404 Not Found: no)\n  see dagster.url"),
        ("503", "URL is not there at the moment (503 Service Unavailable)\n  try again when it is there"),
        (
            "login",
            "URL leads elsewhere (302, to ELSEWHERE), and no token is sent there\n  a login page: give a token",
        ),
        (
            "page",
            "URL answers with a web page ('Sign in & go on'), not as Dagster does\n  a login page? see whether",
        ),
        (
            "lost",
            "URL gave no answer: Server disconnected without sending a response.\n  try again when it is there",
        ),
    ],
)
@pytest.mark.parametrize("command", ["diff", pytest.param("run", marks=pytest.mark.soak)])
def test_an_answer_that_is_none(guarded: Shop, manners: Proxy, command: str, mode: str, message: str) -> None:
    before = recorded(guarded)
    with proxy("http://127.0.0.1:1") as other:
        manners.mode, manners.elsewhere = mode, other.url
        done = guarded.tool(command, **TOKEN)
        assert other.seen == []
    assert done.returncode == 3
    assert (
        done.stderr.replace(manners.url, "URL")
        .replace(other.url, "ELSEWHERE")
        .startswith(f"raw-trigger: {message}")
    )
    assert SECRET not in done.stdout + done.stderr
    assert recorded(guarded) == before


def test_nobody_is_there(shop: Shop) -> None:
    shop.raw({"a.csv": "1\n"})
    shop.configure(url=f"http://127.0.0.1:{free_port()}")
    for command in ("diff", "run", "status"):
        done = shop.tool(command, "--environment", "other")
        assert done.returncode == 3
        assert re.match(
            r"raw-trigger: http://\S+ cannot be reached: .*\n  try again when it is there", done.stderr
        )


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "the token for URL is not there: $RAW_TOKEN is not set\n  set it, or name another variable"),
        ({"RAW_TOKEN": " "}, "the token for URL is not there: $RAW_TOKEN is not set\n"),
        ({"RAW_TOKEN": "a\nb"}, "$RAW_TOKEN has characters that no token has\n  set it again\n"),
        ({"RAW_TOKEN": "wrong"}, "URL refuses the token of $RAW_TOKEN (401 Unauthorized)\n"),
    ],
)
def test_a_token_that_is_none(guarded: Shop, manners: Proxy, environ: dict[str, str], message: str) -> None:
    done = guarded.tool("diff", **environ)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.replace(manners.url, "URL").startswith(f"raw-trigger: {message}")


def test_no_token_at_all(shop: Shop, manners: Proxy) -> None:
    shop.configure(url=manners.url)
    shop.raw({"a.csv": "1\n"})
    done = shop.tool("diff", "--environment", "other")
    told = done.stderr.replace(manners.url, "URL")
    assert told == (
        "raw-trigger: URL wants a token (401 Unauthorized)\n"
        "  name the variable that has a token in dagster.token_env\n"
    )


def test_the_token_gets_in(guarded: Shop, manners: Proxy) -> None:
    done = guarded.tool("run", "--wait", **TOKEN)
    assert done.returncode == 0, done.stderr
    assert guarded.made() == ["a"]
    assert {one["Authorization"] for one in manners.seen} == {f"Bearer {SECRET}"}


def test_another_header(shop: Shop, deployment: Deployment) -> None:
    with proxy(deployment.url, SECRET, "X-Key") as manners:
        shop.configure(url=f"{manners.url}/prod/graphql", token_env="RAW_TOKEN", token_header="X-Key")
        shop.raw({"a.csv": "1\n"})
        done = shop.tool("diff", "--environment", "other", **TOKEN)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("dagster", "message"),
    [
        (
            {"location": "shup"},
            "URL has no code location 'shup'; it has deployed, graph, other, shop\n"
            "  write the name of one of them as dagster.location\n",
        ),
        (
            {"location": None},
            "URL has 4 code locations: deployed, graph, other, shop\n  write the name of one of them as dagster.location\n",
        ),
        (
            {"location": "other"},
            "raw-trigger: raw-trigger.yaml:9:26: asset 'b' is not in the code location 'other' of URL\n"
            "raw-trigger.yaml:10:32: asset 'checked' is not in the code location 'other' of URL\n",
        ),
    ],
)
def test_a_location_that_is_another(shop: Shop, dagster: dict[str, str | None], message: str) -> None:
    shop.configure(**dagster)
    shop.raw({"b.csv": "1\n"})
    done = shop.tool("run")
    assert done.returncode != 0
    assert message in done.stderr.replace(shop.deployment.url, "URL")
    assert shop.made() == []


@pytest.mark.soak
def test_one_key_in_two_locations(shop: Shop) -> None:
    """The one that the configuration names makes it."""
    shop.raw({"a.csv": "1\n"})
    assert shop.tool("run", "--wait").returncode == 0
    assert shop.made() == ["a"]


@pytest.mark.parametrize(
    "mode", ["cut", *(pytest.param(one, marks=pytest.mark.soak) for one in ("late", "garbled", "empty"))]
)
def test_an_answer_that_is_lost(guarded: Shop, manners: Proxy, deployment: Deployment, mode: str) -> None:
    """The run is there all the same: it is found by its tags, and not asked for again."""
    manners.mode, before = mode, len(deployment.runs())
    done = guarded.tool("run", "--wait", **TOKEN)
    assert done.returncode == 0, done.stderr
    assert len(deployment.runs()) == before + 1
    manners.mode = "ok"
    assert guarded.tool("diff", "--exit-code", **TOKEN).returncode == 0


@pytest.mark.soak
def test_a_report_that_nobody_heard(guarded: Shop, manners: Proxy) -> None:
    guarded.raw({"a.csv": None, "ext.csv": "1\n"})
    manners.mode = "deaf"
    told = {one["asset"]: one for one in guarded.asked("run", "--wait", **TOKEN)["outcome"]["targets"]}
    assert (told["ext"]["status"], told["under"]["status"]) == ("failed", "skipped")
    assert "was told of ext, and does not know it" in told["ext"]["error"]
    manners.mode = "ok"
    assert guarded.tool("run", "--wait", **TOKEN).returncode == 0
    assert guarded.tool("diff", "--exit-code", **TOKEN).returncode == 0


def test_another_address_of_the_same_deployment(shop: Shop, deployment: Deployment) -> None:
    """It is known by the runs that it has made."""
    shop.raw({"a.csv": "1\n"})
    with proxy(deployment.url) as moved:
        shop.configure(url=moved.url)
        done = shop.tool("diff")
        assert done.returncode == 3
        assert "mend dagster.url, or give this deployment an --environment of its own" in done.stderr
        shop.configure()
        assert shop.tool("run", "--wait").returncode == 0
        shop.configure(url=moved.url)
        assert shop.tool("diff", "--exit-code").returncode == 0
        shop.raw({"a.csv": "2\n"})
        assert shop.tool("run", "--wait").returncode == 0
        assert shop.git("show", "refs/raw-trigger/deployment:.raw-trigger/instance") == moved.url


@pytest.mark.soak
def test_a_deployment_that_refuses(guarded: Shop, manners: Proxy) -> None:
    manners.mode = "broken"
    done = guarded.asked("run", "--wait", **TOKEN)
    [told] = done["outcome"]["targets"]
    assert (told["status"], told["error"].partition(": ")[2]) == ("failed", "the launcher is on fire")
    manners.mode = "ok"
    assert guarded.made() == []
    assert guarded.tool("run", "--wait", **TOKEN).returncode == 0


@pytest.mark.soak
def test_a_webserver_that_is_away_while_it_is_waited_for(
    guarded: Shop, manners: Proxy, deployment: Deployment
) -> None:
    guarded.raw({"a.csv": "slow\n"})
    running = guarded.start("run", "--wait", **TOKEN)
    deployment.await_all(lambda: guarded.made() == ["a"])
    manners.mode = "503"
    time.sleep(3)
    manners.mode = "ok"
    done = running.wait()
    assert "is not there at the moment (503 Service Unavailable); waiting goes on" in done.stderr
    assert done.returncode == 0
    assert guarded.tool("diff", "--exit-code", **TOKEN).returncode == 0
