"""Runs of named jobs."""

from __future__ import annotations

import signal
import time
from typing import Any

from .compat.jobs import job_partitions
from .compat.partitions import prepare_partition
from .compat.runs import execute
from .errors import UnfitError, error_of, error_of_info, plain_error
from .interruption import Interrupted
from .outcomes import Outcomes
from .project import Project
from .targets import Document


class JobRun:
    """Tells how the run of a named job ended, from its events."""

    def __init__(self) -> None:
        self.interrupted = False
        self.materialized = False
        self.error: Any = None
        self.step_error: Any = None

    def on_event(self, event: Document) -> None:
        """Takes in one event; the first step that failed says why the run failed."""
        self.interrupted = self.interrupted or event.get("interrupted", False)
        self.materialized = self.materialized or event["type"] == "ASSET_MATERIALIZATION"
        if event["type"] == "STEP_FAILURE" and self.step_error is None:
            self.step_error = event["error"]
        elif event["type"] == "PIPELINE_FAILURE":
            self.error = event["error"]

    def told(self) -> Document:
        """Returns why the run failed."""
        error = self.step_error or self.error
        return error_of_info(error) if error is not None else plain_error("Dagster says that it failed")


def launch(project: Project, outcomes: Outcomes, batch: Document, tags: dict[str, str]) -> None:
    """Runs a named job; its target stands for the whole run.

    Raises:
        Interrupted: a signal arrived while it ran.
    """
    target, name, run_id = batch["targets"][0], batch["job"], batch["run_id"]
    began = time.monotonic()
    run = JobRun()
    error = None
    with outcomes.bracket(batch["number"], run_id) as statuses:
        try:
            repo = project.repo_with(name)
            success = execute(
                repo,
                project.instance,
                keys=name,
                partition=_partition(project, repo, name, batch["partition"]),
                run_id=run_id,
                tags={**tags, **(batch.get("tags") or {})},
                run_config=batch.get("run_config") or {},
                listener=run.on_event,
            )
            error = None if success else run.told()
        except KeyboardInterrupt:
            run.interrupted = True
        except UnfitError as unfit:
            error = plain_error(str(unfit))
        except (Exception, SystemExit) as raised:
            error = error_of(raised, whole=False)
        if run.interrupted:
            error = plain_error("interrupted while it ran")
        statuses.append("failed" if error else "success")
        outcomes.tell(
            batch["number"],
            target,
            statuses[-1],
            run_id=run_id,
            seconds=time.monotonic() - began,
            error=error,
            materialized=run.materialized,
        )
    if run.interrupted:
        raise Interrupted(signal.SIGINT)


def _partition(project: Project, repo: Any, job: str, text: str | None) -> Any:
    """Returns the partition key for Dagster; None if the job is not partitioned."""
    definition = job_partitions(repo, job)
    if definition is None and text is None:
        return None
    if definition is None:
        raise UnfitError(f"job {job!r} is not partitioned")
    if text is None:
        raise UnfitError(f"job {job!r} is partitioned: its rule has to say `partition:`")
    key = prepare_partition(project.instance, definition, text)
    if key is None:
        raise UnfitError(f"{text!r} is no partition of job {job!r}")
    return key
