"""What was handed over to a deployment, until it is known what it came to."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.remote.conftest import ROOT, Shop
from tests.support.deployment import Deployment

CANCEL = 'mutation { terminateRun(runId: "%s") { __typename } }'
LAUNCH = """
mutation($keys: [AssetKeyInput!], $tags: [ExecutionTag!]) { launchRun(executionParams: {
  selector: {repositoryLocationName: "shop", repositoryName: "__repository__", pipelineName: "__ASSET_JOB",
             assetSelection: $keys},
  mode: "default", runConfigData: {}, executionMetadata: {tags: $tags} }) {
  __typename ... on LaunchRunSuccess { run { runId } } } }
"""


def launched(deployment: Deployment, *keys: str, tags: Sequence[dict[str, str]] = ()) -> str:
    """A run that somebody has launched on a page of Dagster's."""
    found = deployment.asked(LAUNCH, keys=[{"path": [key]} for key in keys], tags=list(tags))
    return str(found["launchRun"]["run"]["runId"])


def status(deployment: Deployment, run_id: str) -> str:
    return next(one["status"] for one in deployment.runs() if one["runId"] == run_id)


def test_handed_over_and_waited_for(shop: Shop) -> None:
    shop.raw({"a.csv": "held\n", "ext.csv": "1\n"})
    done = shop.tool("run")
    assert done.returncode == 0
    assert "2 handed over" in done.stdout and "1 reported" in done.stdout
    assert "`raw-trigger wait` waits for it" in done.stdout
    again = shop.tool("run")
    assert again.returncode == 0
    assert "of the cli is making it" in again.stdout
    done = shop.tool("wait", "--timeout", "0.5")
    assert done.returncode == 3
    assert "still being made after" in done.stderr
    shop.go_on()
    done = shop.tool("wait")
    assert done.returncode == 0, done.stderr
    assert "✔ a" in done.stdout
    assert shop.made() == ["a", "under"]
    assert shop.tool("diff", "--exit-code").returncode == 0
    assert shop.tool("wait").stdout == "Nothing is under way for 'deployment'.\n"
    newest = shop.asked("history", "--limit", "1")["runs"][0]
    assert (newest["status"], newest["face"]) == ("success", "cli")


@pytest.mark.soak
def test_interrupted_while_it_waits(shop: Shop) -> None:
    shop.raw({"a.csv": "held\n"})
    running = shop.start("run", "--wait")
    shop.deployment.await_all(lambda: shop.made() == ["a"])
    running.send(signal.SIGINT)
    done = running.wait()
    assert done.returncode == 130
    assert "`raw-trigger wait` waits for them" in done.stderr
    shop.go_on()
    assert shop.tool("wait").returncode == 0
    assert shop.pending() == []
    assert shop.made() == []


def test_killed_while_it_waits(shop: Shop) -> None:
    shop.raw({"a.csv": "held\n"})
    running = shop.start("run", "--wait")
    shop.deployment.await_all(lambda: shop.made() == ["a"])
    running.kill()
    shop.go_on()
    assert shop.tool("wait").returncode == 0
    assert shop.tool("run").returncode == 0
    assert shop.made() == []


@pytest.mark.soak
def test_what_fails_is_told_by_who_waits(shop: Shop) -> None:
    shop.raw({"a.csv": "bad\n", "checked.csv": "0\n"})
    assert shop.tool("run").returncode == 0
    done = shop.asked("wait")
    told = {
        one["asset"]: (one["status"], (one["error"] or "").split("\n")[0])
        for one in done["outcome"]["targets"]
    }
    assert told == {
        "a": ("failed", "ValueError: cannot read {'a.csv': 'bad\\n'}"),
        "checked": ("failed", "asset check no_zero failed: there is a zero"),
    }
    assert shop.pending() == ["a", "checked"]


@pytest.mark.soak
def test_edited_while_it_is_queued(shop: Shop) -> None:
    """What the run reads is another content than what it was launched for: nobody knows which."""
    shop.raw({"a.csv": "held\n"})
    assert shop.tool("run").returncode == 0
    shop.deployment.await_all(lambda: shop.made() == ["a"])
    shop.raw({"a.csv": "2\n"})
    shop.go_on()
    assert shop.tool("wait").returncode == 0
    assert shop.pending() == ["a"]
    shop.raw({"a.csv": "held\n"})
    assert shop.pending() == ["a"]


@pytest.mark.soak
def test_canceled_on_its_page(shop: Shop) -> None:
    shop.raw({"a.csv": "held\n"})
    assert shop.tool("run").returncode == 0
    [run] = [one for one in shop.deployment.runs() if one["status"] not in ("SUCCESS", "FAILURE", "CANCELED")]
    shop.deployment.await_all(lambda: shop.made() == ["a"])
    shop.deployment.asked(CANCEL % run["runId"])
    done = shop.tool("wait")
    assert done.returncode == 1
    assert "was canceled" in done.stdout
    assert shop.pending() == ["a"]


def test_canceled_from_here(shop: Shop) -> None:
    shop.raw({"a.csv": "held\n"})
    assert shop.tool("run").returncode == 0
    shop.deployment.await_all(lambda: shop.made() == ["a"])
    done = shop.tool("cancel")
    assert done.returncode == 0
    assert ": canceled" in done.stderr
    assert "1 canceled in" in done.stdout
    assert shop.pending() == ["a"]
    assert shop.tool("cancel").stdout == "Nothing is under way for 'deployment'.\n"


@pytest.mark.soak
def test_somebody_else_makes_it_since(shop: Shop) -> None:
    """Two clients: what the other one made came last, and nobody here knows from what."""
    shop.raw({"a.csv": "1\n"})
    assert shop.tool("run").returncode == 0
    shop.deployment.await_all(lambda: shop.made() == ["a"])
    other = launched(shop.deployment, "a")
    shop.deployment.await_all(lambda: status(shop.deployment, other) == "SUCCESS")
    done = shop.tool("wait")
    assert "made, and nobody knows from what, so it stays pending: a" in done.stderr
    assert shop.pending() == ["a"]
    assert shop.tool("run", "--wait").returncode == 0
    assert shop.pending() == []


@pytest.mark.soak
def test_somebody_else_is_making_it(shop: Shop) -> None:
    shop.raw({"a.csv": "held\n"})
    other = launched(shop.deployment, "a")
    done = shop.tool("run")
    assert f"run {other[:8]} of the deployment is making it" in done.stdout
    shop.deployment.await_all(lambda: shop.made() == ["a"])
    running = shop.start("run", "--wait")
    told = f"waiting for run {other[:8]} of the deployment to make a"
    shop.deployment.await_all(lambda: told in running.told())
    shop.go_on()
    done = running.wait()
    assert done.returncode == 0
    assert shop.made() == ["a"]
    assert shop.pending() == []


@pytest.mark.soak
def test_two_clients_at_once(shop: Shop) -> None:
    """Of one repository: the second one finds it in flight."""
    shop.raw({"a.csv": "slow\n", "b.csv": "1\n"})
    both = [shop.start("run", "--wait") for _ in range(2)]
    assert [one.wait().returncode for one in both] == [0, 0]
    assert shop.made() == ["a", "b"]
    assert shop.pending() == []


@pytest.mark.soak
def test_two_clones_at_once(shop: Shop, tmp_path: Path) -> None:
    """Each has a record of its own: it costs double work, and no record is wrong."""
    shop.raw({"a.csv": "slow\n"})
    shop.git("add", "-A")
    shop.git("commit", "-qm", "two")
    shop.git("clone", "-q", str(shop.top), str(tmp_path / "other"))
    other = Shop(tmp_path / "other", shop.program, shop.deployment)
    assert other.tool("adopt", "HEAD~1").returncode == 0
    both = [one.start("run", "--wait") for one in (shop, other)]
    assert [one.wait().returncode for one in both] == [0, 0]
    made = len(shop.made())
    assert made in (1, 2)
    for one in (shop, other):
        one.tool("run", "--wait")
        assert one.pending() == []
    assert shop.last_read("a") == {"a.csv": "slow\n"}


def test_without_a_location_for_files_nothing_is_recorded(shop: Shop) -> None:
    shop.configure(files=None)
    shop.raw({"a.csv": "1\n"})
    done = shop.tool("run", "--wait")
    assert "nobody knows from which files the deployment made it, so nothing is recorded" in done.stderr
    assert shop.made() == ["a"]
    assert shop.pending() == ["a"]
    shop.configure()
    assert shop.pending() == ["a"]


def test_hooks_leave_it_to_later_ones(shop: Shop) -> None:
    assert shop.tool("install").returncode == 0
    shop.raw({"a.csv": "bad\n"})
    shop.git("add", "-A")
    done = shop.try_git("commit", "-m", "two")
    assert done.returncode == 0
    assert "pre-commit: nothing is refused, the deployment is asked afterwards" in done.stderr
    assert "1 handed over" in done.stderr + done.stdout
    assert shop.tool("wait").returncode == 1
    shop.raw({"a.csv": "2\n"})
    shop.git("commit", "-qam", "three")
    assert shop.tool("wait").returncode == 0
    assert shop.made() == ["a", "a"]


@pytest.mark.soak
def test_a_page_makes_it_with_a_partition_of_something_else(shop: Shop) -> None:
    """What has no partitions is made by such a run too."""
    shop.raw({"a.csv": "held\n", "part/x.csv": "1\n"})
    tags = [{"key": "dagster/partition", "value": "x"}]
    other = launched(shop.deployment, "a", "part", tags=tags)
    done = shop.tool("run")
    assert f"run {other[:8]} of the deployment is making it" in done.stdout
    shop.go_on()
    assert shop.tool("run", "--wait").returncode == 0
    assert shop.pending() == []


@pytest.mark.parametrize("back", [pytest.param(True, marks=pytest.mark.soak), False])
def test_a_folder_that_is_exchanged_while_it_is_made(shop: Shop, back: bool) -> None:
    """Its files are as old as they were, and the run may have read the others."""
    shop.configure('{path: "pair/*.csv", asset: pair}\n{path: "*/**", ignore: true}')
    shop.raw({"pair/x.csv": "1\n", "pair/y.csv": "1\n", "other/x.csv": "2\n", "other/y.csv": "2\n"})
    shop.git("add", "-A")
    shop.git("commit", "-qm", "two")
    assert shop.tool("adopt").returncode == 0
    shop.raw({"pair/x.csv": "held\n"})
    assert shop.tool("run").returncode == 0
    shop.deployment.await_all(lambda: bool(shop.made()))
    raw = shop.top / ROOT
    for one, new in (
        ("pair", "old"),
        ("other", "pair"),
        *((("pair", "other"), ("old", "pair")) if back else ()),
    ):
        (raw / one).rename(raw / new)
    shop.go_on()
    assert shop.tool("wait").returncode == 0
    assert shop.pending() == ["pair"]


def test_a_linked_worktree_is_not_what_it_reads(shop: Shop, tmp_path: Path) -> None:
    shop.git("worktree", "add", "-q", str(tmp_path / "linked"))
    linked = Shop(tmp_path / "linked", shop.program, shop.deployment)
    linked.raw({"a.csv": "linked\n"})
    done = linked.tool("run", "--wait")
    assert "a deployment reads one working tree" in done.stderr
    assert linked.pending() == ["a"]
    assert shop.pending() == ["a"]


@pytest.fixture
def queued(shop: Shop, tmp_path: Path, new_home: Callable[[Path], Path]) -> Iterator[Deployment]:
    """A deployment whose runs are queued, and whose daemon is away."""
    home = new_home(tmp_path / "queued" / "home")
    found = Deployment(home, {"shop": shop.top.parent / "definitions.py"})
    found.start("webserver")
    yield found
    found.stop()


@pytest.mark.soak
def test_a_daemon_that_is_away(shop: Shop, queued: Deployment) -> None:
    """Its runs would be queued for ever."""
    shop.configure(url=queued.url, location=None)
    assert shop.tool("adopt").returncode == 0
    shop.raw({"a.csv": "1\n"})
    before = shop.git("rev-parse", "refs/raw-trigger/deployment")
    done = shop.tool("run")
    assert done.returncode == 3
    assert "is not at work: runs would stay queued, and nothing was sent" in done.stderr
    assert (queued.runs(), shop.git("rev-parse", "refs/raw-trigger/deployment")) == ([], before)
    queued.start("daemon")
    assert shop.tool("run", "--wait").returncode == 0
    assert shop.made() == ["a"]
    assert shop.pending() == []


DAYS = [f"daily/2026-11-{day:02}.csv" for day in range(1, 9)]


def backfills(deployment: Deployment) -> list[str]:
    found = deployment.asked(
        "{ partitionBackfillsOrError { ... on PartitionBackfills { results { status } } } }"
    )
    return [one["status"] for one in found["partitionBackfillsOrError"]["results"]]


@pytest.mark.soak
@pytest.mark.parametrize("wait", [True, False])
def test_many_partitions_are_a_backfill(shop: Shop, queued: Deployment, wait: bool) -> None:
    shop.configure(url=queued.url, location=None)
    assert shop.tool("adopt").returncode == 0
    queued.start("daemon")
    files = {**dict.fromkeys(DAYS, "1\n"), DAYS[3]: "bad\n", "part/x.csv": "1\n"}
    shop.raw(files)
    done = shop.asked("run", "--wait") if wait else shop.asked("run")
    if not wait:
        assert {one["status"] for one in done["outcome"]["targets"]} == {"submitted"}
        done = shop.asked("wait")
    assert len(backfills(queued)) == 1
    told = {one["partition"]: (one["status"], one["error"]) for one in done["outcome"]["targets"]}
    failed, error = told.pop("2026-11-04")
    assert (failed, (error or "").split(":")[0]) == ("failed", "ValueError")
    assert set(told.values()) == {("success", None)} and len(told) == 8
    assert shop.pending() == ["daily|2026-11-04"]
    assert len(shop.made()) == 9


@pytest.mark.soak
def test_a_backfill_that_is_canceled(shop: Shop, queued: Deployment) -> None:
    shop.configure(url=queued.url, location=None)
    assert shop.tool("adopt").returncode == 0
    queued.start("daemon")
    shop.raw(dict.fromkeys(DAYS, "slow\n"))
    assert shop.tool("run").returncode == 0
    queued.await_all(lambda: bool(queued.runs()))
    done = shop.tool("cancel")
    assert done.returncode in (0, 3), done.stderr
    queued.await_all(lambda: shop.tool("wait", "--timeout", "5").returncode == 0)
    made = {one.removeprefix("daily|") for one in shop.made()}
    left = {one.removeprefix("daily|") for one in shop.pending()}
    assert left >= {day[6:-4] for day in DAYS} - made
    assert left
