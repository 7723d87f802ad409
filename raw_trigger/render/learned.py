"""Shows learned rules, as text for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from raw_trigger.model.changes import show
from raw_trigger.model.text import sample
from raw_trigger.render import words

if TYPE_CHECKING:
    from raw_trigger.learn import Learned, Ran
    from raw_trigger.model.outcome import Outcome
    from raw_trigger.model.plan import Plan


def as_json(found: Learned, outcome: Outcome | None, written: bool) -> dict[str, Any]:
    """Returns everything that was learned; paths as in the plan.

    Args:
        outcome: None if nothing was run.
    """
    return {
        "version": 1,
        "file": found.file,
        "read": [
            {
                "asset": one.target.asset,
                "partition": one.target.partition,
                "files": [show(path) for path in one.reads.files],
                "unsure": [show(path) for path in one.reads.unsure],
                "folders": [show(path) for path in one.reads.folders],
                "complete": one.reads.complete,
            }
            for one in found.readings
        ],
        "rules": [
            {
                "path": rule.path,
                "assets": list(rule.assets),
                "partition": [[dimension, text] for dimension, text in rule.partition],
                "files": list(rule.names),
            }
            for rule in found.rules
        ],
        "notes": list(found.notes),
        "failed": [
            {"asset": one.target.asset, "partition": one.target.partition, "error": one.error}
            for one in (() if outcome is None else outcome.targets)
            if one.status != "success"
        ],
        "diff": found.diff,
        "written": written,
    }


def announcement(plan: Plan, what: str) -> str:
    """Returns one line that names the targets of the plan."""
    return f"{what} {sample([words.printable(one.target.text) for one in plan.actionable])}"


def listed(plan: Plan) -> Iterator[str]:
    """Yields the targets of the plan, an asset a line."""
    assets: dict[str, list[str]] = {}
    for one in plan.actionable:
        partition = one.target.partition
        assets.setdefault(one.target.asset, []).extend([] if partition is None else [partition])
    who = words.plural(len(assets), "asset")
    yield f"{who} would be materialized, with everything that they do, to see what is read:"
    for asset, partitions in assets.items():
        keys = f" ({', '.join(map(words.printable, partitions))})" if partitions else ""
        yield f"  {words.printable(asset)}{keys}"


def remarks(found: Learned, written: bool, ran: Ran | None, environment: str) -> Iterator[str]:
    """Yields the lines beside the diff.

    Args:
        ran: The run that was made to learn; None without one.
    """
    files = {path for one in found.readings for path in (*one.reads.files, *one.reads.unsure)}
    who = words.plural(len({one.target.asset for one in found.readings}), "asset")
    yield f"{who} read {words.plural(len(files), 'raw file')}"
    unwatched = [one for one in found.readings if not one.reads.complete]
    if unwatched:
        yield "not everything was watched: what libraries open by themselves may be missing"
    failed = [words.printable(one.target.text) for one in found.readings if one.partial]
    if failed:
        yield f"{sample(failed)} failed: what was read up to then counts"
    for one in found.readings:
        if one.reads.unsure:
            shortly = sample([words.printable(path) for path in one.reads.unsure])
            yield f"{shortly}: opened by another process while {words.printable(one.target.text)} was made"
    yield from (words.printable(note) for note in found.notes)
    if not found.readings:
        yield "nothing is known of what is read: no asset was made"
    elif not found.diff and found.notes:
        yield "no rule is to be added"
    elif not found.diff:
        yield "nothing is to be added: the rules say as much"
    elif written:
        yield f"wrote {found.file}" + ("" if ran else ". What it newly maps is materialized once more")
    else:
        yield f"{found.file} was not written: `raw-trigger learn --write` does"
    if ran is not None:
        yield from _recorded(ran, environment)


def _recorded(ran: Ran, environment: str) -> Iterator[str]:
    made = [words.printable(one.target.text) for one in ran.outcome.targets if one.status == "success"]
    if ran.first:
        only = f"only {sample(made)} as materialized" if made else "nothing as materialized"
        yield f"nothing was recorded in {environment!r} before, so now it has {only}"
        yield "`raw-trigger run --all` makes the rest, `raw-trigger adopt` takes it as materialized"
    elif made:
        yield f"recorded in {environment!r} as materialized: {sample(made)}"
