"""Named jobs."""

from __future__ import annotations

from typing import Any

import dagster
from dagster._utils.schedules import is_valid_cron_schedule


def job_names(repo: Any) -> list[str]:
    """Returns the named jobs, without those that Dagster makes for assets."""
    return [name for name in repo.job_names if not name.startswith("__ASSET_JOB")]


def job_partitions(repo: Any, name: str) -> Any:
    """Returns the partitions definition of a named job; None if it has none."""
    return repo.get_job(name).partitions_def


def config_problem(repo: Any, name: str, run_config: dict[str, Any]) -> str | None:
    """Returns what Dagster finds wrong with the configuration of a named job; None if it is right."""
    job = repo.get_job(name)
    if not run_config and (job.partitioned_config is not None or getattr(job, "run_config", None)):
        return None  # the job has a configuration of its own
    try:
        dagster.validate_run_config(job, run_config)
    except dagster.DagsterInvalidConfigError as error:
        return "; ".join(" ".join(one.message.split()) for one in error.errors) or str(error)
    return None


def is_cron(text: str) -> bool:
    """Says whether Dagster takes it for a cron schedule."""
    return bool(is_valid_cron_schedule(text))
