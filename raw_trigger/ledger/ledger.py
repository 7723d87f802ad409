"""The one door to the run history."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from raw_trigger.model.history import FailedContent, Failure, HistoryFilter, LaunchRecord, PastRun
from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.model.plan import Target

if TYPE_CHECKING:
    from raw_trigger.ledger.database import Database

_FILE = re.compile(r"(?:sqlite|duckdb)(?:\+\w+)?:///([^?]+)")
_RELATIVE = re.compile(r"((?:sqlite|duckdb)(?:\+\w+)?:///)(?!/|:memory:|md:|motherduck:|file:)([^?]+)(.*)")


class Ledger:
    """Run history in one database. A connection is open only while something is written or read.

    Args:
        url: Where it is, an SQLAlchemy URL of an SQLite, DuckDB or PostgreSQL database.
        app_version: Our version, written with every run.
        place: Whose launches are looked at where that matters: several repositories and machines can share
            a database, each with an environment `local` of its own.
        patience: How long to wait for a database that another process uses, in seconds.

    Every method raises :class:`~raw_trigger.errors.LedgerError` if the database cannot be used.
    """

    def __init__(self, url: str, *, app_version: str, place: str = "", patience: float = 5.0) -> None:
        self.url = url
        self._app_version = app_version
        self._place = place
        self._patience = patience

    @staticmethod
    def url_for(setting: str, private_dir: Path, base: Path | None = None) -> str:
        """The URL that the configuration's `ledger:` stands for.

        Args:
            setting: `sqlite` or an SQLAlchemy URL.
            private_dir: Our folder in the git directory, where the SQLite file is kept.
            base: What the path of a database file is relative to; the working directory if None.
        """
        if setting == "sqlite":
            path = str(private_dir / "ledger.sqlite").replace("%", "%25").replace("?", "%3F")
            return f"sqlite:///{path}"
        relative = _RELATIVE.fullmatch(setting)
        if relative is None or base is None:
            return setting
        folder = str(base).replace("%", "%25").replace("?", "%3F")
        return f"{relative[1]}{folder}/{relative[2]}{relative[3]}"

    @property
    def has_file(self) -> bool:
        """Whether it is in a file, and that is there: it is read without waiting for anybody."""
        found = _FILE.match(self.url)
        return found is not None and Path(unquote(found[1])).is_file()

    @cached_property
    def _database(self) -> Database:
        from raw_trigger.ledger.database import Database

        return Database(self.url, self._patience)

    def begin(self, launch: LaunchRecord) -> None:
        """Write a launch before it starts: one row for every batch, status `started`."""
        from raw_trigger.ledger import writing

        rows = writing.started_rows(launch, self._app_version, self._place)
        if rows:
            self._database.write(lambda connection: writing.insert_runs(connection, rows))

    def finish(
        self,
        launch_id: str,
        outcomes: Sequence[TargetOutcome],
        *,
        ended: datetime,
        told: Mapping[Target, datetime] | None = None,
        error: BaseException | None = None,
        log: str | None = None,
    ) -> None:
        """Close what is open of a launch. What is closed already stays as it is, so this can be repeated.

        A batch is `failed` if one of its targets did not succeed. One with a submitted target stays open;
        so does what another process has closed meanwhile.

        Args:
            outcomes: What became of the targets. Those it says nothing of were not reached: `skipped`.
            ended: When the launch ended, with a time zone.
            told: When each outcome was known; otherwise all of them were known when the launch ended.
            error: What ended the launch early.
            log: The file that holds what the runs printed, if that was not known before.
        """
        from raw_trigger.ledger import writing

        ending = writing.Ending(outcomes, ended, told or {}, error, log)
        self._database.write(lambda connection: writing.close(connection, launch_id, ending))

    def open_launches(self, environment: str) -> list[LaunchRecord]:
        """The launches of this place that are not closed, the oldest first, each with its open batches."""
        from raw_trigger.ledger import reading

        return self._database.read(lambda c: reading.open_launches(c, environment, self._place), [])

    def failed_contents(self, environment: str) -> frozenset[FailedContent]:
        """The contents that failed when their target was last run in this place.

        A target that was interrupted or not reached did not fail.
        """
        from raw_trigger.ledger import reading

        return self._database.read(
            lambda c: reading.failed_contents(c, environment, self._place), frozenset()
        )

    def failures(self, environment: str) -> Sequence[Failure]:
        """Returns what failed when it was last run in this place, or was left out after a failure."""
        from raw_trigger.ledger import reading

        return self._database.read(lambda c: reading.failures(c, environment, self._place), [])

    def made(self, environment: str) -> Mapping[Target, Mapping[bytes, str | None]]:
        """Returns the targets whose last run in this place succeeded, each with the contents it was run for.

        A path that was deleted has None as its content.
        """
        from raw_trigger.ledger import reading

        return self._database.read(lambda c: reading.made(c, environment, self._place), {})

    def durations(self) -> Mapping[Target, float]:
        """How many seconds each target took, on average of its last few successes in this place."""
        from raw_trigger.ledger import reading

        return self._database.read(lambda c: reading.durations(c, self._place), {})

    def runs(self, wanted: HistoryFilter | None = None) -> list[PastRun]:
        """The runs of every place and environment, the newest first."""
        from raw_trigger.ledger import reading

        return self._database.read(lambda c: reading.runs(c, wanted or HistoryFilter()), [])

    def run(self, prefix: str) -> list[PastRun]:
        """The run, or the runs of the launch, whose id begins like this: ours, the launch's or Dagster's.

        Raises:
            UsageError: no run is called so, or several that do not belong together are.
        """
        from raw_trigger.ledger import reading

        reading.require_prefix(prefix)
        nothing: list[PastRun] = []
        found = self._database.read(lambda c: reading.by_prefix(c, prefix.lower()), nothing)
        return reading.of_one_launch(prefix, found)
