"""What lies under the raw roots and is not seen, or not as it looks."""

from __future__ import annotations

from pathlib import Path

from raw_trigger.content.feeding import desired_paths
from raw_trigger.model.changes import NOTHING
from raw_trigger.unseen import unseen
from tests.conftest import Repo
from tests.support.two_assets import RULES, Ground, R


def test_what_git_does_not_look_at(repo: Repo, tmp_path: Path) -> None:
    ground = Ground(repo.top)
    other = Repo(tmp_path / "other")
    other.top.mkdir()
    other.git("init", "-q")
    other.commit({"f": "1"})
    ground.commit({"raw-trigger.yaml": RULES, R + "a.csv": "1\n", ".gitignore": "*.log\nout/\n.DS_Store\n"})
    ground.git("submodule", "add", "-q", str(other.top), R + "sub")
    ground.write(
        {
            R + "x.log": "1",
            R + "out/1": "1",
            R + "out/2": "1",
            R + "logs/z.log": "1",
            R + ".DS_Store": "1",
            "y.log": "1",
        }
    )
    ground.git("clone", "-q", str(other.top), R + "own")
    for name, text in (
        *(("file", "a.csv"), ("folder", "../1_raw"), ("elsewhere", "../../README"), ("away", "/etc/hosts")),
        *(("dead", "nothing"), ("annex", "../../.git/annex/objects/x/x")),
    ):
        (ground.top / R / name).symlink_to(text)
    trigger = ground.trigger()
    files = dict(desired_paths(trigger.workspace.repo, trigger.planner.tracked, NOTHING.desired))
    found = unseen(trigger.workspace.repo, trigger.workspace.roots, files, trigger.planner.links.texts())
    assert sorted((one.severity, one.where.removeprefix(R), one.message.split(":")[0]) for one in found) == [
        ("note", "file", f"a link to {R}a.csv"),
        ("note", "folder", f"a link to {R.rstrip('/')}"),
        ("note", "logs/", "git ignores it, so nothing is made from it (git check-ignore -v)"),
        ("note", "out/", "git ignores it, so nothing is made from it (git check-ignore -v)"),
        ("note", "sub", "a submodule"),
        ("note", "x.log", "git ignores it, so nothing is made from it (git check-ignore -v)"),
        ("warning", "away", "a link to /etc/hosts, which is under no raw root"),
        ("warning", "elsewhere", "a link to README, which is under no raw root"),
        ("warning", "own/", "a repository of its own, into which git does not look"),
    ]
