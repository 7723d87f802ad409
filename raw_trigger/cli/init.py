"""``raw-trigger init``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from raw_trigger.cli.errors import tell
from raw_trigger.cli.install import install
from raw_trigger.cli.session import Globals, busy, planner_of, tell_never_made, text_renderer
from raw_trigger.errors import RawTriggerError, UsageError
from raw_trigger.model.text import sample

if TYPE_CHECKING:
    from raw_trigger.initialize import Draft, Offer, Place
    from raw_trigger.render.text import TextRenderer
    from raw_trigger.repo.repository import Repository

Answer = TypeVar("Answer")


class Launchers(str, Enum):
    """Says what makes the assets."""

    local = "local"
    graphql = "graphql"


def init(
    context: typer.Context,
    root: Annotated[
        list[Path] | None, typer.Option("--root", metavar="FOLDER", help="The folder of the raw files.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing and take the default answers.")
    ] = False,
    no_catalog: Annotated[
        bool, typer.Option("--no-catalog", help="Only list the files, without the Dagster project.")
    ] = False,
    github: Annotated[
        bool, typer.Option("--github", help="Write a GitHub workflow too, or only that if the rest is there.")
    ] = False,
    launcher: Annotated[
        Launchers | None,
        typer.Option(help="What the workflow has make the assets; default: as raw-trigger.yaml says."),
    ] = None,
) -> None:
    """Look at the repository, write raw-trigger.yaml, and offer the hooks and a workflow."""
    from raw_trigger import initialize
    from raw_trigger.config import find_config
    from raw_trigger.model.project import DagsterOptions
    from raw_trigger.repo.repository import Repository

    if root is not None and len(root) > 1:
        raise UsageError(
            "init looks at one raw root, and --root is given more than once",
            "name a folder above them, or add the others to `root:` in raw-trigger.yaml afterwards",
        )
    if launcher is not None and not github:
        raise UsageError("--launcher says what the workflow has make the assets", "add --github")
    chosen: Globals = context.obj
    asks = not yes and sys.stdin is not None and sys.stdin.isatty()
    text = text_renderer()
    repo = Repository.discover(chosen.directory)
    there = chosen.config or find_config(chosen.directory, repo.top)
    if github and there is not None and there.exists():
        _workflow(text, repo, there, launcher)
        return
    place = initialize.find_place(
        repo,
        chosen.directory,
        config_file=chosen.config,
        root=root[0] if root else None,
        options=DagsterOptions(
            module_name=chosen.module_name, python_file=chosen.python_file, workspace=chosen.workspace
        ),
        ask=not no_catalog,
    )
    findings = initialize.look(
        repo, place, _root(place, asks, yes), os.environ, ask=not no_catalog, busy=busy
    )
    draft = initialize.draft(findings)
    initialize.create(place.file, draft.text)
    text.say("wrote ", (findings.file, "bold"))
    _summary(text, draft, findings.root)
    # The commands below use the file that was just written.
    context.obj = replace(chosen, config=place.file)
    failed = 0
    installed = False
    for offer in initialize.offers(repo):
        if github and offer.name == "github":
            continue
        try:
            wanted = offer.default if yes else asks and _confirmed(offer)
            _settle(context, text, repo, place.file, offer, wanted)
            installed = installed or (wanted and offer.name == "hooks")
        except RawTriggerError as error:
            tell(error)
            failed = error.exit_code
    if github:
        _workflow(text, repo, place.file, launcher)
    if draft.leftover or draft.guesses or draft.unfed:
        text.say("`raw-trigger learn` runs the assets, sees which files they read, and proposes the rules.")
    text.say(f"Next: look at {findings.file} and commit it; then `raw-trigger run --all`,")
    text.say("or, if the assets are up to date with the files as they are committed, `raw-trigger adopt`.")
    if not installed and not no_catalog:  # `install` says it too
        tell_never_made(planner_of(context))
    if failed:
        raise typer.Exit(failed)


def _root(place: Place, asks: bool, yes: bool) -> str:
    """Returns the raw root: the only one, the one that the user chooses, or with ``--yes`` the first."""
    roots = place.roots
    if not roots:
        raise UsageError(
            "no folder here looks like raw data",
            "put the files into data/1_raw, or name their folder: `raw-trigger init --root FOLDER`",
        )
    if place.certain or yes or (len(roots) == 1 and not asks):
        return roots[0]
    if not asks:
        raise UsageError(
            f"several folders may hold the raw data: {', '.join(roots)}",
            f"name one: `raw-trigger init --root {roots[0]}`",
        )
    from raw_trigger.render.words import printable

    for number, root in enumerate(roots, 1):
        typer.echo(f"  {number}  {printable(root)}")
    numbered = {str(number): root for number, root in enumerate(roots, 1)}
    while True:
        answer = _asked(lambda: str(typer.prompt("Which folder holds the raw data?", default="1")))
        if answer in numbered or answer in roots:
            return numbered.get(answer, answer)
        typer.echo(f"  a number from 1 to {len(roots)}; for another folder: `raw-trigger init --root FOLDER`")


def _confirmed(offer: Offer) -> bool:
    return _asked(lambda: typer.confirm(offer.question, default=offer.default))


def _asked(ask: Callable[[], Answer]) -> Answer:
    try:
        return ask()
    except typer.Abort:
        raise KeyboardInterrupt from None


def _summary(text: TextRenderer, draft: Draft, root: str) -> None:
    from raw_trigger.render import words

    how = [f"{draft.found} without a rule"] if draft.found else []
    how += [f"{draft.ruled} by {words.plural(draft.rules, 'rule')}"] if draft.ruled else []
    files = words.plural(draft.found + draft.ruled, "file")
    text.say(f"  {files} in {root} mapped{': ' if how else ''}{', '.join(how)}")
    if draft.ignored:
        text.say(f"  {words.plural(draft.ignored, 'file')} ignored: no data")
    if draft.guesses:
        text.say(
            ("  look at ", "yellow"), f"{words.plural(draft.guesses, 'rule')} marked `Guess` in the file"
        )
    for problem in draft.problems:
        text.say(("  cannot be materialized: ", "yellow"), problem)
    if draft.leftover:
        named = sample([words.printable(name) for name in draft.leftover])
        text.say(("  without an asset: ", "yellow"), named)
    if draft.unfed:
        named = sample([words.printable(key) for key in draft.unfed])
        text.say(("  without a file: ", "yellow"), named)


def _settle(
    context: typer.Context, text: TextRenderer, repo: Repository, config: Path, offer: Offer, wanted: bool
) -> None:
    """Takes the offered step, or says how to take it later."""
    from raw_trigger.install.framework import add_to_precommit_config, install_advice

    if not wanted:
        first, *others = offer.otherwise.splitlines()
        for line in (f"not done: {offer.what}; to do it: {first}", *others):
            text.say(line)
    elif offer.name == "hooks":
        install(context)
    elif offer.name == "github":
        _workflow(text, repo, config, None)
    elif add_to_precommit_config(offer.file):
        text.say("wrote ", (offer.file.name, "bold"), f"; then {install_advice()}")
    else:
        text.say(f"unchanged {offer.file.name}: raw-trigger is in it already")


def _workflow(text: TextRenderer, repo: Repository, config: Path, launcher: Launchers | None) -> None:
    from raw_trigger.config import load_config
    from raw_trigger.initialize import create_workflow

    configured = load_config(config, repo.top)
    file, left = create_workflow(repo, config, configured.launcher if launcher is None else launcher.value)
    text.say("wrote ", (file.relative_to(repo.top).as_posix(), "bold"))
    if launcher is Launchers.graphql and configured.launcher != "graphql":
        text.say(f"  add to {config.name}, and under its dagster: key, with the address of the deployment:")
        text.say("launcher: graphql")
        text.say("dagster: {url: https://…, token_env: DAGSTER_TOKEN, files: commit}")
    elif configured.launcher == "graphql" and configured.dagster.files != "commit":
        text.say(
            f"  say `files: commit` under dagster: in {config.name}: CI has no disk that the deployment reads"
        )
    if configured.launcher == "graphql" and configured.dagster.token_env != "DAGSTER_TOKEN":
        text.say(
            f"  say `token_env: DAGSTER_TOKEN` under dagster: in {config.name}, or name yours in the workflow"
        )
    if left is None:
        text.say(f"  {config.name} says which branch records what CI materialized")
    else:
        text.say(f"  add to {config.name}, so that CI records what it materialized:")
        for line in left.splitlines():
            text.say(line)
