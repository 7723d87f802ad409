"""Writes the outputs of a step on GitHub Actions.

Every value is a string; the lists and the matrix are valid JSON in ASCII for all file names. Bytes that are
not UTF-8 are lone surrogate escapes there, as in the plan file.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from raw_trigger.ci import matrix
from raw_trigger.model.changes import show
from raw_trigger.model.outcome import Outcome
from raw_trigger.model.plan import Plan

LIMIT = 90_000
"""The longest value, in characters.

The outputs of a job may have 1 MB together, counted as UTF-16 (GitHub's documentation of workflow syntax),
and a variable of the environment 131,072 bytes (Linux): five values of this length fit.
"""

_LISTS = ("changed-files", "assets", "targets")

UNKNOWN: Mapping[str, str] = {
    "changed": "null",
    **dict.fromkeys(_LISTS, "[]"),
    "selection": "",
    "matrix": '{"include": []}',
    "batches": "0",
    "plan": "",
    "outcome": "failed",
    "base": "",
    "head": "",
    "incomplete": json.dumps([*_LISTS, "selection", "matrix"]),
}
"""The outputs of a job that failed before it knew: neither changed nor unchanged, and no list is whole."""

_NAME = re.compile(r"[a-z][a-z-]*")
# Every Dagster since 1.3 reads this as a key and as nothing else.
_BARE = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./-]*")
# These cannot be written within key:"…" (Dagster 1.9 and later): there is no escape, a comma separates, and
# an asterisk would select other keys too.
_NEVER = frozenset('"\\,*')


def outputs(
    plan: Plan,
    *,
    batches: Sequence[matrix.Batch] = (),
    outcome: Outcome | None = None,
    plan_file: str = "",
    base: str | None = None,
    head: str | None = None,
) -> dict[str, str]:
    """Returns every output by its name.

    A list longer than :data:`LIMIT` is cut to what fits, and ``incomplete`` names it; the plan file has all
    of it. A selection is whole or empty, never a part; Dagster refuses an empty one.

    Args:
        base: The output ``base``; None for the base's object id.
        head: The output ``head``; None for the object id of what is planned.
    """
    incomplete: list[str] = []

    def kept(name: str, items: Iterable[object]) -> str:
        text, whole = listed(items)
        if not whole:
            incomplete.append(name)
        return text

    todo = plan.actionable
    assets = sorted({planned.target.asset for planned in todo if planned.target.job is None})
    values = {
        "changed": "true" if plan.changes else "false",
        "changed-files": kept("changed-files", (show(p.change.path) for p in plan.changes)),
        "assets": kept("assets", assets),
        "targets": kept(
            "targets", ({"asset": p.target.asset, "partition": p.target.partition} for p in todo)
        ),
    }
    made = (p.target for p in todo if p.action == "materialize")
    selected = selection(target.asset for target in made if target.job is None)
    if selected is None or len(selected) > LIMIT:
        incomplete.append("selection")
        selected = ""
    values |= {
        "selection": selected,
        "matrix": _matrix(batches),
        "batches": str(len(batches)),
        "plan": plan_file,
        "outcome": "" if outcome is None else outcome.status,
        "base": (plan.base.oid or plan.base.name) if base is None else base,
        "head": (plan.desired.oid or plan.desired.name) if head is None else head,
        "incomplete": json.dumps(incomplete),
    }
    return values


def explain_incomplete(values: Mapping[str, str]) -> str | None:
    """Returns a sentence about outputs that do not hold everything; None if all do."""
    names = json.loads(values["incomplete"])
    if not names:
        return None
    said = []
    if cut := [name for name in names if name != "selection"]:
        said.append(f"cut off at {LIMIT:,} characters: {', '.join(cut)}")
    if "selection" in names:
        said.append(
            "left empty, because it is too long or Dagster has no way to write one of the keys: selection"
        )
    return f"outputs {'; '.join(said)}. The plan file has everything"


def selection(keys: Iterable[str]) -> str | None:
    """Returns the ``dagster asset materialize --select`` of exactly these keys; None if there is none.

    Plain keys are bare, which every Dagster since 1.3 understands, others ``key:"…"``, which 1.9 and later
    do.
    """
    items = []
    for key in sorted(set(keys)):
        if _BARE.fullmatch(key):
            items.append(key)
        elif key.isprintable() and not _NEVER & set(key):
            items.append(f'key:"{key}"')
        else:
            return None
    return ",".join(items)


def write(values: Mapping[str, str], file: Path) -> None:
    """Appends the outputs to the file that ``GITHUB_OUTPUT`` names.

    Each is written between two lines that hold a random word, so that no value can end early or begin another
    one (GitHub's documentation of workflow commands, multiline strings).
    """
    pieces = []
    for name, value in values.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of an output")
        word = _delimiter(value)
        pieces.append(f"{name}<<{word}\n{value}\n{word}\n")
    with file.open("a+b") as opened:
        if opened.tell():
            # Another command of the same step may have written a last line without its newline.
            opened.seek(-1, 2)
            if opened.read(1) != b"\n":
                opened.write(b"\n")
        opened.write("".join(pieces).encode("utf-8", "backslashreplace"))


def _delimiter(value: str) -> str:
    while (word := f"raw_trigger_{secrets.token_hex(16)}") in value:
        pass
    return word


def listed(items: Iterable[object]) -> tuple[str, bool]:
    """Returns a JSON list of as many items as fit into :data:`LIMIT`, and whether these are all."""
    pieces: list[str] = []
    length = 2
    for item in items:
        piece = json.dumps(item)
        length += len(piece) + 2
        if length > LIMIT:
            return f"[{', '.join(pieces)}]", False
        pieces.append(piece)
    return f"[{', '.join(pieces)}]", True


def _matrix(batches: Sequence[matrix.Batch]) -> str:
    text = matrix.include(batches)
    if len(text) <= LIMIT:
        return text
    # The names only help people: the plan file has the batches by number.
    plain = [matrix.Batch(b.number, f"batch {b.number}", (), (), 0) for b in batches]
    return matrix.include(plain)
