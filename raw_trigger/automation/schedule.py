"""The schedule that looks at the raw files, and one for a job with its configuration in a file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from raw_trigger.automation.settings import AT_ONCE, CRON, cron, enabled, folder, status
from raw_trigger.automation.tick import Wanted, evaluate
from raw_trigger.config.syntax import explain
from raw_trigger.documents import load_yaml, read_bytes, read_yaml
from raw_trigger.errors import ConfigError, RawTriggerError, UsageError

RunConfig = Mapping[str, Any]
_PLACE = re.compile(r"at path (root(?::\w+(?:\.\w+)*)*)")
_ENTRY = re.compile(r'unexpected config entry "([^"]+)"')
_EVERY_ASSET = "__ASSET_JOB"
"""Dagster's own job of all assets (1.8 on): one of the user's has one partitions definition only."""


def build_raw_schedule(
    *,
    cron_schedule: str | None = None,
    execution_timezone: str | None = None,
    name: str = "raw_schedule",
    project: str | os.PathLike[str] | None = None,
    environment: str | None = None,
    branches: Sequence[str] = (),
    settle: float | None = None,
    most: int = AT_ONCE,
    default_status: dg.DefaultScheduleStatus | None = None,
) -> dg.ScheduleDefinition:
    """Returns a schedule that materializes the assets whose raw files have changed, and nothing else.

    It needs Dagster 1.8. The other arguments are those of ``build_raw_sensor``.

    Args:
        cron_schedule: When it looks; None: `$RAW_SCAN_CRON`, else every five minutes.
        execution_timezone: The time zone of that, such as ``Europe/Berlin``; None: UTC.
        default_status: Whether it runs without being switched on; None: as `$RAW_SCHEDULE_ENABLED` says.
    """
    wanted = Wanted(folder(project), environment, tuple(branches), settle, most)

    try:
        looks, problem = cron_schedule or cron(), None
    except UsageError as error:  # the code location has to load; the ticks say so
        looks, problem = CRON, error.line

    def raw_schedule(context: dg.ScheduleEvaluationContext) -> Any:
        if problem is not None:
            return dg.SkipReason(problem)
        tick = evaluate(context, wanted, "schedule")
        return list(tick.requests) if tick.requests else dg.SkipReason(tick.told)

    decorate = dg.schedule(
        name=name,
        cron_schedule=looks,
        execution_timezone=execution_timezone,
        job_name=_EVERY_ASSET,
        default_status=status(default_status, dg.DefaultScheduleStatus),
        description="Materializes the assets whose raw files have changed.",
    )
    return decorate(raw_schedule)


def build_job_schedule(
    job: Any,
    cron_schedule: str,
    execution_timezone: str | None = None,
    run_config: str | os.PathLike[str] | RunConfig | Callable[[datetime], RunConfig] | None = None,
    *,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    default_status: dg.DefaultScheduleStatus | None = None,
) -> dg.ScheduleDefinition:
    """Returns a schedule that launches a job on a cadence, whatever has changed.

    Args:
        job: The job.
        cron_schedule: When it is launched.
        execution_timezone: The time zone of that, such as ``Europe/Berlin``; None: UTC.
        run_config: The job's configuration: a YAML file, which is read at each tick, so that an edit needs no
            restart; the configuration itself; or what returns it for the tick's time. A file that cannot be
            read or does not fit the job is the reason for which a tick is skipped.
        name: The schedule's name; None: the job's, followed by ``_schedule``.
        tags: Of its runs.
        default_status: Whether it runs without being switched on; None: as `$RAW_SCHEDULE_ENABLED` says.
    """
    file = Path(run_config).expanduser() if isinstance(run_config, (str, os.PathLike)) else None
    called = name or f"{job.name}_schedule"

    def job_schedule(context: dg.ScheduleEvaluationContext) -> Any:
        at = context.scheduled_execution_time
        try:
            if enabled() is False:
                return dg.SkipReason("RAW_SCHEDULE_ENABLED is false")
            config = _configuration(run_config, file, at)
            _require_fit(context, job.name, config, file)
        except RawTriggerError as error:
            return dg.SkipReason(error.line)
        return dg.RunRequest(
            run_key=f"{called}:{at.isoformat()}",
            run_config=dict(config),
            tags={**(tags or {}), "trigger": "raw-trigger/schedule"},
        )

    decorate = dg.schedule(
        name=called,
        job=job,
        cron_schedule=cron_schedule,
        execution_timezone=execution_timezone,
        default_status=status(default_status, dg.DefaultScheduleStatus),
    )
    return decorate(job_schedule)


def _configuration(given: Any, file: Path | None, at: datetime) -> RunConfig:
    if file is not None:
        return read_configuration(file)
    if given is None:
        return {}
    return dict(given(at) if callable(given) else given)


def read_configuration(file: Path) -> RunConfig:
    """Returns the configuration that a YAML file holds; none where the file is empty.

    Raises:
        ConfigError: it cannot be read, or is no mapping.
    """
    try:
        text = read_bytes(file)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{file}: it cannot be read: {said}", "see `run_config` of the schedule") from error
    try:
        found = load_yaml(text)
    except ValueError as error:
        if not isinstance(error.__cause__, yaml.YAMLError):
            raise ConfigError(f"{file}: {error}") from error
        problem = explain(error.__cause__, text.decode("utf-8", "replace"), str(file))
        raise ConfigError(f"{problem.position}: {problem.message}", problem.hint) from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigError(
            f"{file}:1:1: this is no mapping", "write `ops:` or `resources:` with what is below"
        )
    return found


def _require_fit(context: Any, job: str, config: RunConfig, file: Path | None) -> None:
    """Raises an error where the job does not take the configuration.

    Raises:
        ConfigError: it does not.
    """
    from raw_trigger.project.inside.compat.jobs import config_problem

    problem = config_problem(context.repository_def, job, dict(config))
    if problem is not None:
        where = "the configuration" if file is None else place_of(file, problem)
        raise ConfigError(f"{where}: job {job!r} does not take it: {problem}", "correct it")


def place_of(file: Path, problem: str) -> str:
    """Returns where in a YAML file what a problem of Dagster's is about stands, as ``file:line:column``."""
    found = _PLACE.search(problem)
    try:
        _, node = read_yaml(read_bytes(file))
    except (OSError, ValueError):
        return str(file)
    entry = _ENTRY.search(problem)
    names = [*(found[1].split(":")[1:] if found else ()), *([entry[1]] if entry else ())]
    mark = None if node is None else node.start_mark
    for name in names:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        key = next(((key, value) for key, value in pairs if key.value == name), None)
        if key is None:
            break
        mark, node = key[0].start_mark, key[1]
    return str(file) if mark is None else f"{file}:{mark.line + 1}:{mark.column + 1}"
