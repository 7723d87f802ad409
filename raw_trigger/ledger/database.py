"""Connects briefly to one of three databases and words its errors so that a user can act on them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import unquote

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateSchema

from raw_trigger.errors import LedgerError
from raw_trigger.ledger.tables import SCHEMA, metadata
from raw_trigger.model.settings import without_password

Result = TypeVar("Result")

CONNECT_SECONDS = 5
"""Seconds that a PostgreSQL server has to answer: a commit waits for it."""

_DRIVERS = {"sqlite": "sqlite", "duckdb": "duckdb", "postgresql": "postgresql+psycopg"}
_EXTRAS = {"duckdb": "duckdb", "postgresql": "postgres"}
_HARMLESS = "only history depends on the ledger, nothing that is pending; see `ledger:` and RAW_STATE_DIR"
_PAUSE = 0.05
_RACES = 5
_RETRY_STATES = frozenset({"40001", "40P01", "23505", "42P06", "42P07", "42710"})
"""PostgreSQL: serialization failure, deadlock, and another process having just created the same."""


class Database:
    """Reads from and writes to one database; :class:`raw_trigger.ledger.Ledger` describes the arguments.

    Raises:
        LedgerError: the URL is no database of the three kinds, or the driver is not installed.
    """

    def __init__(self, url: str, patience: float) -> None:
        self._patience = patience
        self._complete = False
        place = url.partition("://")[2].partition("?")[0]
        if place.count("@") > 1:
            raise LedgerError(
                f"the ledger's URL {without_password(url)!r} has more than one '@'",
                "write %40 for one in a name or password, %3A for ':' and %2F for '/'",
            )
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):
            raise LedgerError(
                f"the ledger's URL {without_password(url)!r} cannot be read",
                "write `ledger: sqlite`, or a URL such as duckdb:///history.duckdb or "
                "postgresql+psycopg://user@host/database",
            ) from None
        self.kind = parsed.get_backend_name()
        if self.kind not in _DRIVERS:
            raise LedgerError(
                f"the ledger cannot be kept in {self.kind}",
                "`ledger:` is sqlite, or the URL of an SQLite, DuckDB or PostgreSQL database",
            )
        if parsed.drivername == self.kind:
            parsed = parsed.set(drivername=_DRIVERS[self.kind])
        self._url, self._file = _located(parsed, self.kind)
        shown = without_password(self._url.render_as_string(hide_password=True))
        self.name = str(self._file or shown)

    def write(self, work: Callable[[Connection], Result]) -> Result:
        """Does the work in one transaction: all of it or nothing.

        Raises:
            LedgerError: the database refused it.
        """
        if self._file is not None:
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise self._unusable(error.strerror or str(error)) from error
        if not self._complete:
            self._retrying(self._writer, self._create_tables)
            self._complete = True
        return self._retrying(self._writer, work)

    def read(self, work: Callable[[Connection], Result], empty: Result) -> Result:
        """Does the work if something was written before.

        Args:
            empty: The answer if nothing was. Reading creates neither file nor table.

        Raises:
            LedgerError: the database cannot be read.
        """
        if self._file is not None and not self._file.exists():
            return empty

        def reading(connection: Connection) -> Result:
            try:
                return empty if _missing(connection) else work(connection)
            except (ValueError, KeyError, TypeError) as error:
                raise self._unusable(f"a row in it cannot be understood ({error!r})") from error

        return self._retrying(self._reader, reading)

    @cached_property
    def _writer(self) -> Engine:
        return self._engine(writing=True)

    @cached_property
    def _reader(self) -> Engine:
        return self._engine(writing=False)

    def _engine(self, *, writing: bool) -> Engine:
        arguments: dict[str, Any] = {}
        if self.kind == "sqlite":
            arguments["timeout"] = self._patience
        elif self.kind == "duckdb":
            arguments["read_only"] = not writing
        elif "connect_timeout" not in self._url.query:
            arguments["connect_timeout"] = CONNECT_SECONDS
        try:
            engine = create_engine(self._url, poolclass=NullPool, connect_args=arguments)
        except (ImportError, NoSuchModuleError):
            raise LedgerError(
                f"the driver for the ledger {self.name} is not installed",
                f"pip install 'raw-trigger[{_EXTRAS.get(self.kind, self.kind)}]'",
            ) from None
        if self.kind == "sqlite":
            _own_transactions(engine, "BEGIN IMMEDIATE" if writing else "BEGIN")
            return engine.execution_options(schema_translate_map={SCHEMA: None})
        return engine

    def _create_tables(self, connection: Connection) -> None:
        missing = _missing(connection)
        if missing and self.kind != "sqlite" and not inspect(connection).has_schema(SCHEMA):
            connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
        if missing:
            metadata.create_all(connection)

    def _retrying(self, engine: Engine, work: Callable[[Connection], Result]) -> Result:
        """Repeats the work while another process is in the way, until the patience is used up."""
        deadline = time.monotonic() + self._patience
        races = 0
        while True:
            try:
                with engine.begin() as connection:
                    if self.kind == "postgresql":
                        wait = max(1, int(self._patience * 1000))
                        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {wait}")
                    return work(connection)
            except DBAPIError as error:
                if _is_busy(error) and time.monotonic() < deadline:
                    time.sleep(_PAUSE)
                elif _is_race(error) and races < _RACES:
                    races += 1
                else:
                    self._explain(error)
            except (SQLAlchemyError, OSError) as error:
                raise self._unusable(_first_line(error)) from error

    def _explain(self, error: DBAPIError) -> NoReturn:
        said = _first_line(error.orig or error)
        if self._file is not None and _is_damaged(error):
            raise LedgerError(
                f"the ledger {self.name} is damaged or no {self.kind} database: {said}",
                "move it away and a new one is begun; only history is lost, nothing that is pending",
            ) from error
        if _is_busy(error) or getattr(error.orig, "sqlstate", None) == "55P03":
            raise LedgerError(
                f"the ledger {self.name} is in use by another process: {said}",
                "end what has it open, or try again later; only history depends on it",
            ) from error
        raise self._unusable(said) from error

    def _unusable(self, said: str) -> LedgerError:
        return LedgerError(f"the ledger {self.name} cannot be used: {said}", _HARMLESS)


def _located(url: URL, kind: str) -> tuple[URL, Path | None]:
    """Returns the URL with the file's path as it is on disk, and that path.

    The path is None for a server and for what DuckDB opens by itself.
    """
    if kind == "postgresql":
        return url, None
    path = url.database or ""
    if make_url("sqlite:///%25").database != "%":
        # SQLAlchemy before 2.1 does not decode it.
        path = unquote(path)
    if not path or path == ":memory:":
        raise LedgerError(
            "a ledger in memory keeps nothing",
            f"name a file: {kind}:///history.{'sqlite' if kind == 'sqlite' else 'duckdb'}",
        )
    if path.startswith(("file:", "md:", "motherduck:")):
        return url, None
    return url.set(database=path), Path(path)


def _own_transactions(engine: Engine, begin: str) -> None:
    """Begins SQLite's transactions with ``begin``.

    The driver would ask for the lock at the first write only, and SQLite does not wait for a lock there.
    """

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _missing(connection: Connection) -> bool:
    """Says whether one of the tables does not exist yet."""
    schema = None if connection.dialect.name == "sqlite" else SCHEMA
    found = inspect(connection)
    return any(not found.has_table(table.name, schema=schema) for table in metadata.tables.values())


def _is_busy(error: DBAPIError) -> bool:
    said = str(error.orig)
    return (
        "database is locked" in said
        or "Could not set lock on file" in said
        or "with a different configuration" in said
    )


def _is_race(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    conflict = "write-write conflict" in str(error.orig) or "Transaction conflict" in str(error.orig)
    return state in _RETRY_STATES or conflict or isinstance(error, IntegrityError)


def _is_damaged(error: DBAPIError) -> bool:
    said = str(error.orig)
    return any(
        words in said
        for words in (
            "file is not a database",
            "disk image is malformed",
            "malformed database schema",
            "not a valid DuckDB database",
            "Serialization Error",
            "Corrupt",
        )
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
