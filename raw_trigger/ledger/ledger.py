"""The one door to the run history."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from raw_trigger.model.history import (
    FailedContent,
    Failure,
    HistoryFilter,
    LaunchRecord,
    PastRun,
    Repeat,
    TargetRecord,
)
from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.model.plan import Target

if TYPE_CHECKING:
    from raw_trigger.ledger.database import Database

_FILE = re.compile(r"(?:sqlite|duckdb)(?:\+\w+)?:///([^?]+)")
_RELATIVE = re.compile(r"((?:sqlite|duckdb)(?:\+\w+)?:///)(?!/|:memory:|md:|motherduck:|file:)([^?]+)(.*)")


class Ledger:
    """Keeps the run history in one database. A connection is open only during a read or a write.

    Args:
        url: An SQLAlchemy URL of an SQLite, DuckDB or PostgreSQL database.
        app_version: Our version, stored with every run.
        place: Whose launches count. Several repositories and machines can share a database, each with an
            environment `local` of its own.
        patience: Seconds to wait for a database that another process uses.

    Every method raises :class:`~raw_trigger.errors.LedgerError` if the database cannot be used.
    """

    def __init__(self, url: str, *, app_version: str, place: str = "", patience: float = 5.0) -> None:
        self.url = url
        self._app_version = app_version
        self._place = place
        self._patience = patience

    @staticmethod
    def url_for(setting: str, state_dir: Path, base: Path | None = None) -> str:
        """Returns the URL that the configuration's `ledger:` stands for.

        Args:
            setting: `sqlite` or an SQLAlchemy URL.
            state_dir: The folder that holds the SQLite file.
            base: The folder that the path of a database file is relative to; None for the working directory.
        """
        if setting == "sqlite":
            path = str(state_dir / "ledger.sqlite").replace("%", "%25").replace("?", "%3F")
            return f"sqlite:///{path}"
        relative = _RELATIVE.fullmatch(setting)
        if relative is None or base is None:
            return setting
        folder = str(base).replace("%", "%25").replace("?", "%3F")
        return f"{relative[1]}{folder}/{relative[2]}{relative[3]}"

    @property
    def has_file(self) -> bool:
        """Says whether the ledger is a file that exists: reading it waits for no server."""
        found = _FILE.match(self.url)
        return found is not None and Path(unquote(found[1])).is_file()

    @cached_property
    def _database(self) -> Database:
        from raw_trigger.ledger.database import Database

        return Database(self.url, self._patience)

    def begin(self, launch: LaunchRecord) -> None:
        """Records a launch before it starts: one row for every batch, with status `started`."""
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
        first: Sequence[TargetRecord] = (),
    ) -> None:
        """Closes what is open of a launch; closed rows stay as they are, so a call can be repeated.

        A batch is `failed` if one of its targets did not succeed. A batch with a submitted target stays open.

        Args:
            outcomes: The outcomes of the targets. A target without one was not reached: `skipped`.
            ended: When the launch ended, with a time zone.
            told: When each outcome was known; without an entry, when the launch ended.
            error: What ended the launch early; None if nothing did.
            log: The file with the runs' output, if it was not known before.
            first: The targets of outcomes that the launch did not begin with.
        """
        from raw_trigger.ledger import writing

        ending = writing.Ending(outcomes, ended, told or {}, error, log, first)
        self._database.write(lambda connection: writing.close(connection, launch_id, ending))

    def open_launches(self, environment: str) -> list[LaunchRecord]:
        """Returns the open launches of this place, oldest first, each with its open batches."""
        from raw_trigger.ledger import reading

        return self._database.read(lambda c: reading.open_launches(c, environment, self._place), [])

    def failed_contents(self, environment: str) -> frozenset[FailedContent]:
        """Returns the contents whose target failed when it was last run in this place.

        A target that was interrupted or not reached did not fail.
        """
        from raw_trigger.ledger import reading

        return self._database.read(
            lambda c: reading.failed_contents(c, environment, self._place), frozenset()
        )

    def failures(self, environment: str) -> Sequence[Failure]:
        """Returns the targets whose last run in this place failed, or which it left out after a failure."""
        from raw_trigger.ledger import reading

        return self._database.read(lambda c: reading.failures(c, environment, self._place), [])

    def repeats(self, environment: str, assets: Sequence[str]) -> Sequence[Repeat]:
        """Returns the targets of these assets whose last run here was in vain, and how often in a row.

        It failed, or its files were touched meanwhile. A run that was interrupted does not count.
        """
        from raw_trigger.ledger import reading

        return self._database.read(lambda c: reading.repeats(c, environment, self._place, assets), [])

    def made(self, environment: str) -> Mapping[Target, Mapping[bytes, str | None]]:
        """Returns the targets that were made in this place, each with its files' contents when it last was.

        Targets that failed with the same contents since then are left out.

        A deleted path has None as its content.
        """
        from raw_trigger.ledger import reading

        return self._database.read(lambda c: reading.made(c, environment, self._place), {})

    def durations(self) -> Mapping[Target, float]:
        """Returns the seconds that each target took, on average of its last few successes in this place."""
        from raw_trigger.ledger import reading

        return self._database.read(lambda c: reading.durations(c, self._place), {})

    def runs(self, wanted: HistoryFilter | None = None) -> list[PastRun]:
        """Returns the runs of every place and environment, newest first."""
        from raw_trigger.ledger import reading

        return self._database.read(lambda c: reading.runs(c, wanted or HistoryFilter()), [])

    def run(self, prefix: str) -> list[PastRun]:
        """Returns the runs whose id begins with the prefix: our id, the launch's or Dagster's.

        Raises:
            UsageError: no id begins so, or those that do belong to several launches.
        """
        from raw_trigger.ledger import reading

        reading.require_prefix(prefix)
        nothing: list[PastRun] = []
        found = self._database.read(lambda c: reading.by_prefix(c, prefix.lower()), nothing)
        return reading.of_one_launch(prefix, found)
