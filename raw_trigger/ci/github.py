"""Publishes a job on GitHub: the step's outputs and summary, annotations, and a comment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from raw_trigger.ci import comment as comments
from raw_trigger.ci import outputs, summary
from raw_trigger.ci.annotations import Annotation, commands, remarks
from raw_trigger.ci.comparison import Comparison, Request
from raw_trigger.ci.handover import Comment
from raw_trigger.ci.job import JobResult, leave_comment
from raw_trigger.model.plan import Plan
from raw_trigger.model.rows import RowCounts


def here(environ: Mapping[str, str]) -> bool:
    """Says whether this is a runner of GitHub, which reads what is published."""
    return environ.get("GITHUB_ACTIONS") == "true" or bool(environ.get("GITHUB_EVENT_NAME"))


def begin(environ: Mapping[str, str]) -> None:
    """Writes the outputs of a job that failed early; later ones replace them.

    So an expression in a later job can read them however the job ends.
    """
    if file := environ.get("GITHUB_OUTPUT"):
        outputs.write(outputs.UNKNOWN, Path(file))


def publish(done: JobResult, request: Request, environ: Mapping[str, str], *, comment: bool) -> Iterator[str]:
    """Writes the outputs, the summary and the comment, and yields the commands to print.

    Args:
        comment: Whether a comment on the pull request was asked for.
    """
    found, plan = done.comparison, done.plan
    values = _outputs(plan, done, request)
    if file := environ.get("GITHUB_OUTPUT"):
        outputs.write(values, Path(file))
    # Both name what was known before anything ran.
    notes = [*dict.fromkeys((*found.warnings, *done.warnings))]
    if done.unplanned:
        notes.append("There is no plan: the job that was to make it failed, or was cancelled.")
    notes += done.missing
    if incomplete := outputs.explain_incomplete(values):
        notes.append(incomplete)
    unrecorded = []
    if found.unrecorded and plan.changes and request.mode != "plan" and request.batch is None:
        unrecorded.append(f"What was materialized is not recorded: {found.unrecorded}")
    report = summary.Report(
        plan,
        done.outcome,
        rows=_rows(plan),
        batches=done.batches,
        run_url=_run_url(environ),
        notes=(*notes, *unrecorded),
        project=request.project,
    )
    _summarize(summary.render(report), environ)
    unmapped = found.workspace.config.unmapped != "ignore"
    told = list(remarks(plan, done.outcome, unmapped=unmapped))
    told += map(_warning, notes)
    if comment:
        body = summary.render(report, summary.COMMENT_LIMIT)
        told += _comment(found, request, body, environ, create=bool(plan.changes) or done.failed)
    yield from commands(told)


def publish_rest(done: JobResult, request: Request, environ: Mapping[str, str]) -> Iterator[str]:
    """Publishes the results of a step without the token, and yields the commands to print.

    These are the comment of that step, and warnings.
    """
    told = list(done.warnings)
    if told:
        _summarize(summary.render_notes(told), environ)
    annotations = list(map(_warning, told))
    if done.comment is not None:
        left = done.comment
        annotations += _comment(done.comparison, request, left.body, environ, create=left.create)
    yield from commands(annotations)


def publish_error(
    error: str,
    found: Comparison | None,
    plan: Plan | None,
    request: Request | None,
    environ: Mapping[str, str],
    *,
    comment: bool,
) -> Iterator[str]:
    """Publishes a job that an error ended, as far as things were known, and yields the commands to print.

    Args:
        error: What happened and what to do.
        found: None if the error came before it was known what to compare.
        plan: None if the error came before there was one.
    """
    report = None
    if plan is not None and found is not None and request is not None:
        values = {**_outputs(plan, JobResult(found, plan), request), "outcome": "failed"}
        if file := environ.get("GITHUB_OUTPUT"):
            outputs.write(values, Path(file))
        report = summary.Report(plan, rows=_rows(plan), run_url=_run_url(environ), project=request.project)
    project = None if request is None else request.project
    _summarize(summary.render_error(error, report, project=project), environ)
    told = [Annotation("error", "raw-trigger", error)]
    if comment and found is not None and request is not None:
        body = summary.render_error(error, report, summary.COMMENT_LIMIT, project=project)
        told += _comment(found, request, body, environ, create=True)
    yield from commands(told)


def _rows(plan: Plan) -> dict[bytes, RowCounts]:
    return {planned.change.path: planned.rows for planned in plan.changes if planned.rows is not None}


def _outputs(plan: Plan, done: JobResult, request: Request) -> dict[str, str]:
    return outputs.outputs(
        plan,
        batches=done.batches,
        outcome=done.outcome,
        plan_file=str(request.plan_file) if request.plan_file.exists() else "",
        base=plan.base.oid or "",
        head=plan.desired.oid or "",
    )


def _summarize(text: str, environ: Mapping[str, str]) -> None:
    if file := environ.get("GITHUB_STEP_SUMMARY"):
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(text)


def _run_url(environ: Mapping[str, str]) -> str | None:
    server, repository, run = (environ.get(f"GITHUB_{n}") for n in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else None


def _comment(
    found: Comparison, request: Request, body: str, environ: Mapping[str, str], *, create: bool
) -> list[Annotation]:
    """Keeps the comment up to date; returns a warning if that failed."""
    event = found.event
    if event.number is None:
        return []
    if request.step == "work":
        leave_comment(found, Comment(body, create))
        return []
    if event.from_fork:
        return [_warning("no comment on the pull request: it comes from another repository")]
    if request.token is None:
        return [_warning("no comment on the pull request: no token was given")]
    pull = comments.PullRequest(
        environ.get("GITHUB_API_URL", "https://api.github.com"),
        environ.get("GITHUB_REPOSITORY", ""),
        event.number,
        request.token,
        environ.get("GITHUB_GRAPHQL_URL"),
    )
    mark = comments.marker(environ.get("GITHUB_WORKFLOW", ""), found.workspace.environment)
    posted = comments.put(pull, mark, body, create=create)
    return [] if posted.warning is None else [_warning(posted.warning)]


def _warning(message: str) -> Annotation:
    return Annotation("warning", "raw-trigger", message)
