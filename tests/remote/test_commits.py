"""A deployment that reads the files of the commit that its code is from, and tells which one that is."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.remote.conftest import ROOT, RULES, Shop
from tests.support.deployment import Deployment
from tests.support.forks import Program

RELOAD = 'mutation { reloadRepositoryLocation(repositoryLocationName: "deployed") { __typename } }'


class Deployed(Shop):
    """A repository, and a clone of it that the deployment has."""

    @property
    def clone(self) -> Path:
        return self.top.parent / "work"

    def deploy(self, revision: str = "HEAD", told: str | None = None) -> str:
        """Put a commit into the place of what the deployment has.

        Args:
            told: What it says that it is.
        """
        commit = self.git("rev-parse", revision)
        self.git("--work-tree", str(self.clone), "checkout", "-q", "-f", commit, "--", ".")
        self.git("reset", "-q")
        (self.top.parent / "commit").write_text(commit if told is None else told)
        self.deployment.asked(RELOAD)
        return commit

    def commit_raw(self, files: dict[str, str | None], message: str = "change") -> str:
        self.raw(files)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def waits(self) -> dict[str, str | None]:
        """Why files are not made, by their names."""
        found = self.asked("diff")["changes"]
        return {
            one["path"].removeprefix(f"{ROOT}/"): one["reason"]
            for one in found
            if one["disposition"] != "planned"
        }


@pytest.fixture
def deployed(ground: Path, deployment: Deployment, program: Program) -> Iterator[Deployed]:
    folder = ground / "deployed"
    found = Deployed(folder / "repo", program, deployment)
    found.top.mkdir()
    found.git("init", "-q", "-b", "main")
    found.configure(RULES, location="deployed", files="commit")
    found.commit_raw({"keep.txt": "1"}, "one")
    found.deploy()
    done = found.tool("adopt")
    assert done.returncode == 0, done.stderr
    yield found
    shutil.rmtree(found.top)
    shutil.rmtree(found.clone)
    found.clone.mkdir()


def test_a_commit_is_deployed_and_then_made(deployed: Deployed) -> None:
    shop, before = deployed, deployed.git("rev-parse", "HEAD")
    shop.raw({"a.csv": "1\n"})
    assert shop.waits() == {"a.csv": "it is not committed, and the deployment reads commits"}
    commit = shop.commit_raw({})
    why = f"the deployment holds commit {before[:12]}, with another version of it: deploy this one"
    assert shop.waits() == {"a.csv": why}
    done = shop.tool("run", "--wait")
    assert (done.returncode, shop.made()) == (1, [])
    assert shop.deploy() == commit
    shop.raw({"a.csv": "edited\n", "b.csv": "new\n"})
    assert set(shop.waits()) == {"a.csv", "b.csv"}
    shop.git("stash", "-q", "-u")
    assert shop.tool("run", "--wait").returncode == 0
    shop.git("stash", "pop", "-q")
    assert shop.made() == ["a"]
    assert shop.last_read("a") == {"a.csv": "1\n"}
    assert set(shop.waits()) == {"a.csv", "b.csv"}
    shop.git("checkout", "-q", "--", ROOT)
    (shop.top / ROOT / "b.csv").unlink()
    assert shop.tool("diff", "--exit-code").returncode == 0


@pytest.mark.soak
def test_what_is_made_is_what_the_commit_has(deployed: Deployed) -> None:
    """Also where the same asset has another file that is edited, or deleted, here."""
    shop = deployed
    shop.configure('{path: "pair/*.csv", asset: a}', location="deployed", files="commit")
    shop.commit_raw({"pair/x.csv": "1\n", "pair/y.csv": "1\n"})
    shop.deploy()
    assert shop.tool("adopt").returncode == 0
    shop.commit_raw({"pair/x.csv": "2\n"})
    shop.deploy()
    shop.raw({"pair/y.csv": "edited\n"})
    done = shop.tool("run", "--wait")
    assert shop.made() == ["a"], done.stderr
    assert shop.git("show", f"refs/raw-trigger/deployment:{ROOT}/pair/y.csv") == "1"
    assert shop.waits() == {"pair/y.csv": "it is not committed, and the deployment reads commits"}


@pytest.mark.soak
def test_another_commit_with_the_same_files(deployed: Deployed) -> None:
    shop = deployed
    shop.commit_raw({"a.csv": "1\n"})
    shop.deploy()
    shop.write({"README": "1"})
    shop.commit_raw({})
    assert shop.tool("run", "--wait").returncode == 0
    assert shop.made() == ["a"]
    assert shop.tool("diff", "--exit-code").returncode == 0


@pytest.mark.soak
@pytest.mark.parametrize("wait", [True, False])
def test_replaced_while_it_is_made(deployed: Deployed, wait: bool) -> None:
    """Nobody knows which of the two the run has read."""
    shop = deployed
    commit = shop.commit_raw({"a.csv": "slow\n"})
    shop.deploy()
    running = shop.start("run", *(["--wait"] if wait else []))
    shop.deployment.await_all(lambda: shop.made() == ["a"])
    shop.commit_raw({"a.csv": "3\n"})
    shop.deploy()
    told = running.wait().stderr
    told += "" if wait else shop.tool("wait").stderr
    if wait:
        assert re.search(
            f"a: run [0-9a-f]{{8}} does not tell its commit, not {commit[:12]}: it stays pending", told
        )
    else:
        assert "made, and nobody knows from what, so it stays pending: a" in told
    shop.commit_raw({"a.csv": "slow\n"})
    shop.deploy()
    assert shop.pending() == ["a"]
    assert shop.tool("run", "--wait").returncode == 0
    assert shop.pending() == []


@pytest.mark.soak
def test_what_is_made_tells_its_commit(deployed: Deployed) -> None:
    """Then it is known, whatever has taken the place of the deployment since; for all that the run has made."""
    shop = deployed
    shop.commit_raw({"a.csv": "slow\n", "b.csv": "1\n"})
    shop.deploy()
    assert shop.tool("run").returncode == 0
    shop.deployment.await_all(lambda: "b" in shop.made())
    shop.commit_raw({"a.csv": "3\n"})
    shop.deploy()
    assert shop.tool("wait").returncode == 0
    assert shop.pending() == ["a"]
    assert shop.git("show", f"refs/raw-trigger/deployment:{ROOT}/a.csv") == "slow"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (
            "0123456789abcdef",
            "the deployment holds commit 0123456789abcdef, which is not in this repository: `git fetch`",
        ),
        ("", "the deployment does not tell which commit it holds, see `dagster: files` in the README"),
        ("main", "the deployment does not tell which commit it holds, see `dagster: files` in the README"),
    ],
)
def test_a_commit_that_is_none(deployed: Deployed, told: str, reason: str) -> None:
    shop = deployed
    shop.commit_raw({"a.csv": "1\n"})
    shop.deploy(told=told)
    assert shop.waits() == {"a.csv": reason}
    assert shop.tool("run", "--wait").returncode == 1
    assert shop.made() == []


@pytest.mark.soak
def test_a_shortened_name(deployed: Deployed) -> None:
    shop = deployed
    commit = shop.commit_raw({"a.csv": "1\n", "b.csv": "1\n"})
    shop.deploy(told=commit[:8])
    assert shop.tool("run", "--wait").returncode == 0
    assert shop.pending() == []


@pytest.mark.soak
def test_a_deletion(deployed: Deployed) -> None:
    shop = deployed
    shop.configure('{path: "pair/*.csv", asset: a}', location="deployed", files="commit")
    shop.commit_raw({"pair/x.csv": "1\n", "pair/y.csv": "1\n"})
    shop.deploy()
    assert shop.tool("run", "--wait").returncode == 0
    shop.commit_raw({"pair/y.csv": None})
    assert set(shop.waits()) == {"pair/y.csv"}
    shop.deploy()
    shop.git("--work-tree", str(shop.clone), "clean", "-qfd")
    (shop.clone / ROOT / "pair/y.csv").unlink(missing_ok=True)
    assert shop.tool("run", "--wait").returncode == 0
    assert (shop.made(), shop.pending()) == (["a", "a"], [])


def test_a_hook_cannot_ask_for_what_is_not_deployed(deployed: Deployed) -> None:
    shop = deployed
    assert shop.tool("install").returncode == 0
    shop.raw({"a.csv": "1\n"})
    shop.git("add", "-A")
    done = shop.try_git("commit", "-m", "two")
    told = [line for line in done.stderr.splitlines() if line.startswith("raw-trigger")]
    assert told == [
        "raw-trigger: post-commit: the deployment makes it when it holds this commit: `raw-trigger run` asks for it "
        "then, or CI"
    ]
    assert (done.returncode, shop.made()) == (0, [])
