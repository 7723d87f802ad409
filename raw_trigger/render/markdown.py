"""Shows a plan and its outcome as Markdown that no file name can break."""

from __future__ import annotations

import re
from collections.abc import Iterator

from raw_trigger.model.outcome import Outcome
from raw_trigger.model.plan import NOT_ASKED, Plan
from raw_trigger.model.text import sample
from raw_trigger.render import words

_SIGNS = {"success": "✅", "failed": "❌", "skipped": "⏭️", "submitted": "⏳"}


def render(plan: Plan, outcome: Outcome | None = None) -> Iterator[str]:
    """Yields the pieces of one Markdown document."""
    yield f"### Raw data: {escape(words.comparison(plan))}\n\n"
    if not words.asked(plan):
        yield f"{escape(words.nothing(plan))}.\n"
        yield from _warnings(plan, outcome)
        return
    yield "| | file | feeds |\n|---|---|---|\n"
    for line in words.lines(plan):
        name = code(line.path) + (f" (was {code(line.was)})" if line.was is not None else "")
        feeds = sample([code(name) for name in line.targets]) or escape(line.fate)
        further = "".join(f" ({said})" for said in (line.rows, line.note) if said)
        yield f"| {line.letter} | {name} | {feeds}{further} |\n"
    if plan.targets and outcome is None:
        yield "\n| asset | action | why |\n|---|---|---|\n"
        for group in words.by_asset(one for one in plan.targets if one.reason != NOT_ASKED):
            first, keys = group[0], words.partitions(group)
            paths = sorted({path for one in group for path in one.paths})
            why = escape(first.reason or "") or sample([code(words.printable(path)) for path in paths])
            name = code(words.printable(first.target.asset if keys else first.target.text))
            yield f"| {name}{f' {escape(keys)}' if keys else ''} | {words.action(first)} | {why} |\n"
    asleep = words.asleep(plan)
    if asleep is not None:
        yield f"\n{escape(asleep)}\n"
    yield from _warnings(plan, outcome)
    if outcome is not None:
        yield from _outcome(plan, outcome)


def _warnings(plan: Plan, outcome: Outcome | None) -> Iterator[str]:
    for warning in (*plan.errors, *words.remarks(plan, listed=outcome is None)):
        yield f"\n> [!WARNING]\n> {escape(words.printable(warning))}\n"


def _outcome(plan: Plan, outcome: Outcome) -> Iterator[str]:
    yield f"\n**{words.summary(plan, outcome)}**\n"
    if not outcome.targets:
        return
    yield "\n| | asset | seconds | |\n|---|---|---|---|\n"
    errors = words.Errors()
    for done in outcome.targets:
        seconds = "" if done.seconds is None else f"{done.seconds:.1f}"
        said = [errors.words(done.target, done.error) if done.error else ""]
        said += [done.reason or ""]
        said += [f"check {c.name} failed ({c.severity})" for c in done.checks if not c.passed]
        text = "; ".join(s for s in said if s)
        name = code(words.printable(done.target.text))
        yield f"| {_SIGNS[done.status]} | {name} | {seconds} | {escape(' '.join(text.split()))} |\n"


def code(text: str) -> str:
    """Returns a name for a Markdown table cell, as a span of backticks, or escaped if no span can hold it."""
    if not text.isprintable() or ("|" in text and "\\" in text):
        # In a table a backslash before a pipe belongs to the pipe.
        return f"<code>{escape(text)}</code>"
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    room = " " if text[:1] in "` " or text[-1:] in "` " else ""
    return f"{fence}{room}{text}{room}{fence}".replace("|", "\\|")


def escape(text: str) -> str:
    """Returns the text escaped for a Markdown table cell."""
    out = []
    for char in text:
        if char in "\\`*_{}[]<>()#+-!|~&$:@":
            out.append(f"&#{ord(char)};")
        elif char.isprintable():
            out.append(char)
        else:
            out.append(" " if char.isspace() else "\N{REPLACEMENT CHARACTER}")
    return "".join(out)
