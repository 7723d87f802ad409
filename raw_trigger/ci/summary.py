"""Shows a plan and its outcome as Markdown, for the step summary and a comment. Its length is bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from raw_trigger.ci import graph
from raw_trigger.ci.markup import Page, code, cut, link, preformatted, text
from raw_trigger.ci.matrix import Batch
from raw_trigger.model.changes import Base, Desired
from raw_trigger.model.outcome import Outcome, TargetOutcome
from raw_trigger.model.plan import Plan
from raw_trigger.model.rows import RowCounts
from raw_trigger.model.text import sample
from raw_trigger.render import words

SUMMARY_LIMIT = 1_000_000
"""Bytes; GitHub drops a step's summary of more than 1 MiB."""

COMMENT_LIMIT = 65_000
"""Bytes; GitHub refuses a comment of more than 65,536 characters, which include the marker."""

_SIGNS = {"success": "✅", "failed": "❌", "skipped": "⏭️", "submitted": "⏳"}
_ORDER = {"failed": 0, "skipped": 1, "submitted": 2, "success": 3}
_NAME, _SENTENCE, _ERROR_LINE, _ERROR = 160, 400, 200, 4000
_MOST_ROWS = 1000
_MOST_DETAILS = 20
_FOLDED = 25
# Room for the line that counts the rest, and for the end of a fold.
_TAIL = 200


@dataclass(frozen=True, slots=True)
class Report:
    """Holds the content of the Markdown.

    ``rows`` are the counts of the files, as far as known. ``project`` is the project's folder if there are
    several; ``run_url`` is the page of the run on the CI system; ``notes`` are further sentences of the
    caller.
    """

    plan: Plan
    outcome: Outcome | None = None
    rows: Mapping[bytes, RowCounts] = field(default_factory=dict)
    batches: Sequence[Batch] = ()
    run_url: str | None = None
    notes: tuple[str, ...] = ()
    project: str | None = None


def render(report: Report, limit: int = SUMMARY_LIMIT) -> str:
    """Returns the Markdown in at most so many bytes; :data:`COMMENT_LIMIT` for a comment.

    Rows and sections that do not fit are left out as a whole, and a line says how many.
    """
    page = Page(limit)
    _head(page, report)
    remarks = words.remarks(report.plan, listed=report.outcome is None)
    warnings = len(report.plan.errors) + len(remarks)
    _table(page, _warnings(report.plan.errors, remarks), warnings, "warning", 0.2)
    if report.outcome is not None:
        _outcome(page, report.plan, report.outcome)
    if report.plan.changes:
        _files(page, report)
    if report.plan.targets and report.outcome is None:
        _targets(page, report.plan)
    _batches(page, report.batches)
    drawing = graph.mermaid(report.plan)
    if drawing is not None:
        page.add(f"\n{drawing}")
    return str(page)


def render_error(
    error: str, report: Report | None = None, limit: int = SUMMARY_LIMIT, *, project: str | None = None
) -> str:
    """Returns the Markdown of a job that an error ended.

    Args:
        error: Its words.
        report: What was known by then; None if nothing was.
        project: The project's folder if there are several.
    """
    page = Page(limit)
    page.add(f"### {_named(project)}: failed\n\n")
    page.add(f"{preformatted(cut(words.harmless(error, lines=True), _ERROR))}\n\n")
    return f"{page}{render(report, page.left)}" if report is not None else str(page)


def render_notes(notes: Iterable[str]) -> str:
    """Returns notes to add to the summary of an earlier step."""
    return "".join(map(_note, notes))


def _head(page: Page, report: Report) -> None:
    plan, outcome = report.plan, report.outcome
    if not plan.changes:
        title = "nothing to do"
    elif outcome is None:
        todo = words.doing([one.target for one in plan.actionable])
        title = f"{words.plural(len(plan.changes), 'changed file')}, {todo}"
    else:
        title = words.summary(plan, outcome)
    page.add(f"### {_named(report.project)}: {text(title)}\n\n")
    page.add(
        f"Compared {_side(plan.base)} with {_side(plan.desired)}, environment {code(plan.environment)}.\n"
    )
    if plan.base.reason:
        page.add(f"\n> Why: {_sentence(plan.base.reason)}\n")
    for note in report.notes:
        page.add(_note(note))
    if report.run_url is not None:
        page.add(f"\nSee {link('the run', report.run_url)}.\n")
    if not plan.changes:
        page.add(f"\nThe answer: {text(cut(words.nothing(plan), _SENTENCE))}.\n")


def _note(note: str) -> str:
    return f"\n> Note: {_sentence(note)}\n"


def _named(project: str | None) -> str:
    return "Raw data" if project is None else f"Raw data, {text(cut(words.printable(project), _NAME))}"


def _sentence(value: str) -> str:
    return text(cut(" ".join(value.split()), _SENTENCE))


def _side(side: Base | Desired) -> str:
    if side.kind == "empty":
        return "nothing"
    name = {"worktree": "the working tree", "index": "what is staged"}.get(side.kind)
    shown = code(cut(words.printable(side.name), _NAME)) if name is None else name
    if side.oid is None or side.name.startswith(side.oid[:12]):
        return shown
    return f"{shown} ({code(side.oid[:12])})"


def _warnings(errors: Sequence[str], remarks: Sequence[str]) -> Iterator[str]:
    for sign, sentences in (("❌", errors), ("⚠️", remarks)):
        for sentence in sentences:
            yield f"| {sign} | {text(cut(words.printable(sentence), _SENTENCE))} |\n"


def _outcome(page: Page, plan: Plan, outcome: Outcome) -> None:
    done = sorted(outcome.targets, key=lambda o: (_ORDER[o.status], not o.refuted, o.target.text))
    head = "| | asset | seconds | |\n|---|---|---|---|\n"
    _table(page, map(_finished, done), len(done), "asset", 0.35, head)
    room = page.left * 0.3
    failed: dict[tuple[str | None, str], list[str]] = {}
    for one in done:
        if one.status == "failed" and one.own_error:
            named = failed.setdefault((one.run_id, one.own_error), [])
            named.append(code(cut(words.printable(one.target.text), _NAME)))
    for (run_id, said), names in islice(failed.items(), _MOST_DETAILS):
        name = sample(names)
        run = "" if run_id is None else f"run {code(cut(run_id, _NAME))}\n\n"
        error = preformatted(cut(words.harmless(said, lines=True), _ERROR))
        part = f"\n<details><summary>{name}</summary>\n\n{run}{error}\n\n</details>\n"
        room -= len(part.encode())
        if room < 0:
            break
        page.add(part)


def _finished(done: TargetOutcome) -> str:
    seconds = "" if done.seconds is None else f"{done.seconds:.1f}"
    said = [(done.own_error or "").strip().partition("\n")[0], done.reason or ""]
    for check in done.checks:
        if not check.passed:
            message = f": {check.message}" if check.message else ""
            said.append(f"check {check.name} failed ({check.severity}){message}")
    sign = "❌" if done.refuted else _SIGNS[done.status]
    what = text(cut(words.harmless("; ".join(s for s in said if s)), _ERROR_LINE))
    return f"| {sign} | {code(cut(words.printable(done.target.text), _NAME))} | {seconds} | {what} |\n"


def _files(page: Page, report: Report) -> None:
    lines = words.lines(report.plan)
    counted = bool(report.rows)
    head = (
        "| | file | rows | feeds |\n|---|---|---|---|\n" if counted else "| | file | feeds |\n|---|---|---|\n"
    )

    def row(line: words.Line) -> str:
        rows = report.rows.get(line.planned.change.path)
        cell = f" {'' if rows is None else rows.text} |" if counted else ""
        return f"| {line.letter} | {code(cut(line.name, _NAME))} |{cell} {text(cut(line.fate, _NAME))} |\n"

    _table(page, map(row, lines), len(lines), "file", 0.5, head)
    asleep = words.asleep(report.plan)
    if asleep is not None:
        page.add(f"\nStill to come: {_sentence(asleep)}.\n")


def _targets(page: Page, plan: Plan) -> None:
    def rows() -> Iterator[str]:
        for planned in plan.targets:
            why = planned.reason or sample([words.printable(p) for p in planned.paths])
            name = code(cut(words.printable(planned.target.text), _NAME))
            yield f"| {name} | {words.action(planned)} | {text(cut(words.harmless(why), _NAME))} |\n"

    head = "| asset | action | why |\n|---|---|---|\n"
    _table(page, rows(), len(plan.targets), "asset", 0.5, head)


def _batches(page: Page, batches: Sequence[Batch]) -> None:
    if len(batches) < 2:  # noqa: PLR2004
        return
    rows = (
        f"| {b.number}/{len(batches)} | {code(b.name)} | {words.plural(len(b.paths), 'file')}, "
        f"{words.amount(b.targets)} |\n"
        for b in batches
    )
    _table(page, rows, len(batches), "runner", 0.3, "| batch | | |\n|---|---|---|\n")


def _table(
    page: Page, rows: Iterable[str], total: int, noun: str, part: float, head: str = "| | |\n|---|---|\n"
) -> None:
    """Adds as many rows as fit into this part of the room; a long table is folded."""
    if not total:
        return
    fold = total > _FOLDED
    opening = f"\n<details><summary>{words.plural(total, noun)}</summary>\n\n{head}" if fold else f"\n{head}"
    room = int(page.left * part) - len(opening.encode()) - _TAIL
    kept: list[str] = []
    for row in islice(rows, _MOST_ROWS):
        room -= len(row.encode())
        if room < 0:
            break
        kept.append(row)
    missing = total - len(kept)
    more = f"\n… and {words.plural(missing, f'more {noun}')}\n" if missing else ""
    page.add((opening + "".join(kept) if kept else "") + more + ("\n</details>\n" if fold and kept else ""))
