"""However a record begins, what a rule newly feeds from then on is pending, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from raw_trigger import adopt as adopting
from raw_trigger.adopt import ensure_record
from raw_trigger.errors import ProjectError, UsageError
from raw_trigger.hooks.event import HookEvent
from raw_trigger.hooks.run import run_hook
from raw_trigger.model.assets import Asset, Catalog
from raw_trigger.model.plan import Narrowing
from raw_trigger.planner import Planner, Wishes
from raw_trigger.revisions import head_base, revision_desired
from raw_trigger.trigger import Listener
from tests.conftest import Repo
from tests.support.one_rule import CATALOG, Ground
from tests.support.pretended import NoLauncher, PretendedProject


def hook(ground: Ground, name: str, action: str, *, anew: bool = False) -> None:
    """A hook that has nothing to do."""
    workspace = ground.trigger().workspace
    workspace = replace(workspace, config=replace(workspace.config, hooks={name: action}))
    head = workspace.repo.head()
    assert head is not None
    event = HookEvent(name, head_base(workspace.repo), revision_desired(head), starts_anew=anew)
    run_hook(
        workspace,
        name,
        event,
        environ={},
        launcher=NoLauncher(),
        listener=Listener(),
        detached=lambda _: ["false"],
    )


def forget(narrowing: Narrowing) -> Callable[[Ground], None]:
    def begin(ground: Ground) -> None:
        with pytest.raises(
            UsageError, match=r"nothing that was asked for is recorded|no raw file matches none"
        ):
            adopting.forget(ground.trigger(Wishes(narrowing)).planner)

    return begin


def adopt(ground: Ground, *globs: str, catalog: bool = True) -> None:
    trigger = ground.trigger(Wishes(use_catalog=catalog))
    adopting.adopt(trigger.planner, ground.repo.git("rev-parse", "HEAD^{tree}"), globs)


def in_a_job(ground: Ground) -> None:
    """One that runs no code of the project's."""
    trigger = ground.trigger()
    ensure_record(trigger.planner, head_base(trigger.workspace.repo), trigger.planner.rules(None))


WHOLE: dict[str, Callable[[Ground], object]] = {
    "a hook that leaves the work to the background": lambda g: hook(g, "post-commit", "background"),
    "a new worktree": lambda g: hook(g, "post-checkout", "notify", anew=True),
    "forget of an asset": forget(Narrowing(assets=("concepts",))),
    "forget of a path": forget(Narrowing(paths=("none",))),
    "adopt": adopt,
    "adopt of a path": lambda g: adopt(g, "c.csv"),
    "run --all": lambda g: g.run(everything=True),
}
OF_THE_FILE: dict[str, Callable[[Ground], object]] = {
    "adopt --no-catalog": lambda g: adopt(g, catalog=False),
    "adopt --no-catalog of a path": lambda g: adopt(g, "*.csv", catalog=False),
    "a CI job that only publishes": in_a_job,
}


@pytest.mark.parametrize("begin", {**WHOLE, **OF_THE_FILE}.values(), ids={**WHOLE, **OF_THE_FILE})
def test_an_edited_rule(repo: Repo, begin: Callable[[Ground], object]) -> None:
    ground = begun(repo, begin)
    assert (ground.due(), ground.run()[0]) == ([], [])
    ground.rule("assets: [whole, all]")
    assert ground.due() == ["all"]
    assert ground.run()[0] == ["all"]
    assert ground.due() == []


@pytest.mark.parametrize("begin", WHOLE.values(), ids=WHOLE)
def test_an_asset_that_is_new_in_the_code(
    repo: Repo, begin: Callable[[Ground], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = begun(repo, begin, "whole")
    monkeypatch.setitem(CATALOG, "d", Asset("d", ("d",), "here", group="raw"))
    assert ground.due() == ["d"]


@pytest.mark.parametrize("begin", OF_THE_FILE.values(), ids=OF_THE_FILE)
def test_what_nobody_has_told_is_as_today(
    repo: Repo, begin: Callable[[Ground], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until a run, which asks the Dagster project, has recorded the rest."""
    ground = begun(repo, begin, "whole")
    monkeypatch.setitem(CATALOG, "d", Asset("d", ("d",), "here", group="raw"))
    ground.rule("assets: [whole, all]")
    assert ground.due() == ["all"]
    assert ground.run()[0] == ["all"]
    monkeypatch.setitem(CATALOG, "raw/d", Asset("raw/d", ("raw", "d"), "here"))
    assert ground.due() == ["raw/d"]


def test_where_the_project_does_not_load(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> Catalog:
        raise ProjectError("it does not load")

    def begin(ground: Ground) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(PretendedProject, "catalog", fails)
            hook(ground, "post-checkout", "notify", anew=True)

    ground = begun(repo, begin)
    ground.rule("assets: [whole, all]")
    assert ground.due() == ["all"]


def begun(repo: Repo, begin: Callable[[Ground], object], *others: str) -> Ground:
    """A file whose rule says `whole`, and one that no rule of the file knows."""
    if others:
        repo.write({"data/1_raw/d.csv": "1"})
    ground = Ground(repo, "asset: whole", "c.csv", "1")
    repo.git("update-ref", "-d", "refs/raw-trigger/local")
    assert Planner(ground.trigger().workspace).record is None
    begin(ground)
    return ground
