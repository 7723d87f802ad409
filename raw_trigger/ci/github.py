"""What a job leaves on GitHub: the step's outputs and summary, annotations, and a comment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from raw_trigger.ci import comment as comments
from raw_trigger.ci import outputs, summary
from raw_trigger.ci.annotations import Annotation, commands, remarks
from raw_trigger.ci.job import Done, Request
from raw_trigger.model.changes import Base
from raw_trigger.model.plan import Plan


def publish(done: Done, request: Request, environ: Mapping[str, str], *, comment: bool) -> Iterator[str]:
    """Write the files that the runner reads, and the comment.

    Args:
        comment: Whether a comment on the pull request was asked for.

    Returns:
        The lines to print: commands of the runner's.
    """
    found = done.situation
    plan = done.plan or Plan(
        found.workspace.environment, found.base or Base("empty", "nothing", None, found.reason), found.desired
    )
    values = outputs.outputs(
        plan, batches=done.batches, outcome=done.outcome, plan_file=_plan_file(done, request)
    )
    if file := environ.get("GITHUB_OUTPUT"):
        outputs.write(values, Path(file))
    notes = [*found.warnings, *done.warnings]
    notes += [f"Batch {number} left no results: it failed, or was cancelled." for number in done.missing]
    if incomplete := outputs.explain_incomplete(values):
        notes.append(incomplete)
    report = summary.Report(
        plan,
        done.outcome,
        rows={p.change.path: p.rows for p in plan.changes if p.rows is not None},
        batches=done.batches,
        run_url=_run_url(environ),
        notes=tuple(notes),
    )
    if file := environ.get("GITHUB_STEP_SUMMARY"):
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(summary.render(report))
    unmapped = found.workspace.config.unmapped != "ignore"
    told = list(remarks(plan, done.outcome, unmapped=unmapped))
    told += [Annotation("warning", "raw-trigger", note) for note in notes]
    if comment and (warning := _comment(done, request, report, environ)):
        told.append(Annotation("warning", "raw-trigger", warning))
    yield from commands(told)


def _plan_file(done: Done, request: Request) -> str:
    return str(request.plan_file) if done.plan is not None else ""


def _run_url(environ: Mapping[str, str]) -> str | None:
    server, repository, run = (environ.get(f"GITHUB_{n}") for n in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else None


def _comment(done: Done, request: Request, report: summary.Report, environ: Mapping[str, str]) -> str | None:
    """Keep the comment up to date; what is to be told if that did not work."""
    event = done.situation.event
    if event.number is None:
        return None
    if event.from_fork:
        return "no comment on the pull request: it comes from another repository"
    if request.token is None:
        return "no comment on the pull request: no token was given"
    pull = comments.PullRequest(
        environ.get("GITHUB_API_URL", "https://api.github.com"),
        environ.get("GITHUB_REPOSITORY", ""),
        event.number,
        request.token,
        environ.get("GITHUB_GRAPHQL_URL"),
    )
    mark = comments.marker(environ.get("GITHUB_WORKFLOW", ""), done.situation.workspace.environment)
    body = summary.render(report, summary.COMMENT_LIMIT)
    return comments.put(pull, mark, body, create=bool(report.plan.changes)).warning
