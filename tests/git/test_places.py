"""Which projects a repository has, and what each of them is called."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from raw_trigger.errors import ConfigError, UsageError
from raw_trigger.model.settings import ENVIRONMENT_NAME, is_of_worktree, local_environment
from raw_trigger.planner import Planner
from raw_trigger.repo.repository import Repository
from raw_trigger.status import status_of
from raw_trigger.workspace.places import all_places
from raw_trigger.workspace.workspace import Workspace, open_place, open_workspace, places_of
from raw_trigger.workspace.worktrees import of_missing_worktrees
from tests.conftest import Repo

CONFIG = "raw-trigger.yaml"
IGNORING = "assets: [{path: '**', ignore: true}]\n"


@pytest.mark.parametrize(
    ("folder", "worktree", "name"),
    [
        ("", None, "local"),
        ("", "side", "local-side"),
        ("app", None, "local.app"),
        ("services/my-app", None, "local.services.my-app"),
        ("app", "side", "local.app--side"),
        ("services.app", None, None),
        ("a b", None, None),
        ("größe", None, None),
        ("\udcff", None, None),
        ("x/lock", None, None),
        ("a--b", None, None),
        ("a-", None, None),
        (".a", None, None),
        ("a..b", None, None),
        ("a" * 300, None, None),
    ],
)
def test_every_folder_has_an_environment_of_its_own(
    folder: str, worktree: str | None, name: str | None
) -> None:
    made = local_environment(folder, worktree)
    assert name is None or made == name
    assert ENVIRONMENT_NAME.fullmatch(made)


def test_whose_environment_it_is() -> None:
    of_b = {local_environment(folder, "b") for folder in ("", "app", "services/my-app", "größe")}
    others = {local_environment(folder, tree) for folder in ("", "app") for tree in (None, "a", "a--b", "bb")}
    assert {one for one in of_b | others if is_of_worktree(one, "b")} == of_b


def worktree(repo: Repo, name: str) -> Repo:
    repo.git("worktree", "add", "-q", "--detach", str(repo.top.parent / name))
    return Repo(repo.top.parent / name)


def recorded(repo: Repo) -> list[str]:
    return repo.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/raw-trigger").split()


def test_a_record_goes_with_its_worktree(tmp_path: Path) -> None:
    """And a new worktree of the same name has none from before, whether its hook came or not."""
    repo = Repo(tmp_path / "repo")
    repo.top.mkdir()
    repo.git("init", "-q")
    old = repo.commit({"raw-trigger.yaml": "", "data/1_raw/x": "1", "app/raw-trigger.yaml": ""})
    repo.git("update-ref", "refs/raw-trigger/local", "HEAD^{tree}")
    repo.git("update-ref", "refs/raw-trigger/local-kept", "HEAD^{tree}")
    for name in ("side", "other"):
        side = worktree(repo, name)
        for place in places_of(Repository.discover(side.top), side.top):
            assert open_place(Repository.discover(side.top), place).environment == f"local-{name}"
        for environment in (f"local-{name}", f"local.app--{name}"):
            repo.git("update-ref", f"refs/raw-trigger/{environment}", f"{old}^{{tree}}")
    everything = ["local", "local-kept", "local-other", "local-side", "local.app--other", "local.app--side"]
    open_workspace(repo.top)
    assert recorded(repo) == everything
    repo.git("worktree", "remove", "--force", str(tmp_path / "side"))
    side = worktree(repo, "side")
    workspace = open_workspace(side.top)
    assert workspace.environment == "local-side"
    assert Planner(workspace).record is None
    assert not {"local-side", "local.app--side"} & set(recorded(repo))
    # git takes it for one that may come back, from another disk.
    shutil.rmtree(tmp_path / "other")
    open_workspace(repo.top)
    assert "local-other" in recorded(repo)
    assert of_missing_worktrees(Repository.discover(repo.top))("local.app--other")
    assert not of_missing_worktrees(Repository.discover(repo.top))("local-side")
    repo.git("worktree", "prune")
    open_workspace(repo.top)
    assert recorded(repo) == ["local", "local-kept"]


def test_no_two_folders_share_one() -> None:
    folders = [
        "",
        "a",
        "b",
        "a/b",
        "a.b",
        "a-b",
        "a--b",
        "a/-b",
        "a b",
        "a_b",
        "A",
        "a/b/c",
        "a-b/c",
        "a/b-c",
    ]
    made = [local_environment(folder, worktree) for folder in folders for worktree in (None, "a", "b")]
    assert len(set(made)) == len(made)


def tracked(repo: Repo, *names: str, text: str = IGNORING) -> None:
    repo.commit(dict.fromkeys(names, text))


@pytest.mark.parametrize(
    ("files", "start", "found"),
    [
        (["a/" + CONFIG, "b/c/" + CONFIG], "", ["a", "b/c"]),
        (["a/" + CONFIG, "b/c/raw-trigger.yml"], "b", ["b/c"]),
        (["a/" + CONFIG, "b/c/" + CONFIG], "a/src", ["a"]),
        (["a/" + CONFIG], "", ["a"]),
        ([CONFIG, "a/" + CONFIG], "", ["."]),
        ([CONFIG, "a/" + CONFIG], "a", ["a"]),
        (["a/" + CONFIG, "data/1_raw/x", "workspace.yaml"], "", ["."]),
        (["a/" + CONFIG, "data/1_raw/x"], "", ["a"]),
        (["a/" + CONFIG, "b/data/1_raw/x"], "b", ["b"]),
        (["a/" + CONFIG, "docs/x"], "docs", ["."]),
        (["data/1_raw/x"], "", ["."]),
        (["a/other.yaml", "ignored/" + CONFIG], "", ["."]),
    ],
)
def test_what_a_command_is_about(repo: Repo, files: list[str], start: str, found: list[str]) -> None:
    """The nearest project at or above, else those below, else the defaults."""
    repo.write({".gitignore": "ignored\n", "a/src/x": "", **dict.fromkeys(files, IGNORING)})
    # Untracked ones count too.
    repo.git("add", "-A", "--", ".gitignore", *files[:1])
    places = places_of(repo.open(), repo.top / start)
    assert [place.name for place in places] == found
    assert [place.single for place in places] == [len(found) == 1] * len(found)


def test_a_project_at_the_top_that_needs_no_configuration_is_one_of_all(repo: Repo) -> None:
    tracked(repo, "a/" + CONFIG, "data/1_raw/x")
    assert [place.name for place in all_places(repo.open())] == ["a"]
    repo.write({"workspace.yaml": ""})
    assert [place.name for place in all_places(repo.open())] == [".", "a"]


def test_a_configuration_that_is_deleted_on_disk_is_no_project(repo: Repo) -> None:
    tracked(repo, "a/" + CONFIG, "b/" + CONFIG)
    (repo.top / "a" / CONFIG).unlink()
    assert [place.name for place in all_places(repo.open())] == ["b"]


def opened(repo: Repo, start: str = "") -> Workspace:
    return open_workspace(repo.top / start, environ={})


def test_several_have_to_be_named(repo: Repo) -> None:
    tracked(repo, "a/" + CONFIG, "b/" + CONFIG, "c/x")
    with pytest.raises(UsageError) as caught:
        opened(repo)
    assert str(caught.value) == (
        "there are 2 projects here: a, b\n  name one of them: raw-trigger --project b …"
    )
    assert open_workspace(repo.top, folder=repo.top / "a").config.file == "a/" + CONFIG
    with pytest.raises(UsageError, match="has neither"):
        open_workspace(repo.top, folder=repo.top / "c")


def test_each_has_its_own_place_for_what_is_kept(repo: Repo) -> None:
    """Two projects may have assets with the same key, and neither is asked with the other's interpreter."""
    tracked(repo, CONFIG, "a/" + CONFIG, "b/" + CONFIG)
    made = [opened(repo, folder) for folder in ("", "a", "b")]
    assert [one.environment for one in made] == ["local", "local.a", "local.b"]
    assert (
        len({one.project.default_home for one in made}) == len({one.project.cache_dir for one in made}) == 3
    )
    assert made[0].project.default_home == repo.top / ".git/raw-trigger/dagster_home"


def test_two_projects_with_one_environment_are_told(repo: Repo) -> None:
    text = "environment: dev\n" + IGNORING
    tracked(repo, "a/" + CONFIG, text=text)
    assert opened(repo, "a").environment == "dev"
    tracked(repo, "b/" + CONFIG, text="ci: {environments: {dev: [main]}}\n" + IGNORING)
    with pytest.raises(ConfigError) as caught:
        opened(repo, "a")
    assert str(caught.value) == (
        "a/raw-trigger.yaml: the environment 'dev' is also that of b/raw-trigger.yaml, and each project has a "
        "record of its own\n  give it another name in one of the two, such as dev-a"
    )


def test_status_leaves_out_the_records_of_others(repo: Repo) -> None:
    for folder in ("a", "b"):
        repo.write({f"{folder}/data/1_raw/x": "1", f"{folder}/{CONFIG}": IGNORING})
    repo.git("add", "-A")
    repo.commit({})
    for folder in ("a", "b"):
        repo.git("update-ref", f"refs/raw-trigger/local.{folder}", "HEAD:")
    found = status_of(Planner(opened(repo, "a")))
    assert [(one.name, one.behind) for one in found.environments] == [("local.a", 0)]
