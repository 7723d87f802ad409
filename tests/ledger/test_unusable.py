"""A ledger that cannot be used says which, why, and what to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from raw_trigger.errors import LedgerError
from raw_trigger.ledger import Ledger
from tests.ledger.conftest import batch, launch, record

HARMLESS = "only history depends on the ledger, nothing that is pending; see `ledger:` and RAW_STATE_DIR"
BEGUN_ANEW = "move it away and a new one is begun; only history is lost, nothing that is pending"
NOBODY = 65534


def errors_of(url: str) -> list[LedgerError]:
    """Of writing and of reading."""
    found = []
    ledger = Ledger(url, app_version="1", patience=0.2)
    for use in (lambda: ledger.begin(launch(batch(record("raw/a")))), ledger.runs):
        with pytest.raises(LedgerError) as raised:
            use()
        found.append(raised.value)
    return found


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_file_that_is_something_else(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "ledger"
    file.write_bytes(b"name,amount\nanna,3\n" * 1000)
    for error in errors_of(f"{kind}:///{file}"):
        assert error.message.startswith(f"the ledger {file} is damaged or no {kind} database: ")
        assert error.hint == BEGUN_ANEW
        assert "\n" not in error.message
    assert file.read_bytes() == b"name,amount\nanna,3\n" * 1000


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_file_whose_middle_is_overwritten(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "ledger"
    Ledger(f"{kind}:///{file}", app_version="1").begin(launch(batch(record("raw/a"))))
    content = bytearray(file.read_bytes())
    content[100:] = b"\x5a" * (len(content) - 100)
    file.write_bytes(content)
    for error in errors_of(f"{kind}:///{file}"):
        assert error.message.startswith(f"the ledger {file} is damaged or no {kind} database: "), error
        assert error.hint == BEGUN_ANEW


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_file_that_may_only_be_read_can_be_read(kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ledger"
        ledger = Ledger(f"{kind}:///{file}", app_version="1")
        ledger.begin(launch(batch(record("raw/a"))))
        ledger.runs()
        file.chmod(0o444)
        Path(folder).chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        try:
            assert len(ledger.runs()) == 1
            with pytest.raises(LedgerError) as raised:
                ledger.begin(launch(batch(record("raw/a"))))
        finally:
            if root:
                os.seteuid(0)
            Path(folder).chmod(0o755)
        assert raised.value.message.startswith(f"the ledger {file} cannot be used: ")
        assert raised.value.hint == HARMLESS


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_folder_that_cannot_be_made(kind: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    ledger = Ledger(f"{kind}:///{tmp_path}/taken/ledger", app_version="1")
    with pytest.raises(LedgerError) as raised:
        ledger.begin(launch(batch(record("raw/a"))))
    assert raised.value.message == f"the ledger {tmp_path}/taken/ledger cannot be used: File exists"
    assert ledger.runs() == []


def test_a_server_that_is_not_there_is_not_waited_for_and_the_password_not_shown() -> None:
    began = time.monotonic()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        for error in errors_of(f"postgresql://anna:secret@127.0.0.1:{port}/history"):
            shown = f"the ledger postgresql+psycopg://anna:***@127.0.0.1:{port}/history cannot be used: "
            assert error.message.startswith(shown)
            assert error.hint == HARMLESS
            assert "secret" not in str(error)
    assert time.monotonic() - began < 5


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raw_trigger.ledger.database.CONNECT_SECONDS", 2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"postgresql://anna@127.0.0.1:{silent.getsockname()[1]}/history"
        with pytest.raises(LedgerError, match=r"cannot be used: .*time"):
            Ledger(url, app_version="1").runs()


def test_a_table_that_somebody_locks_is_given_up(postgres: Callable[[], str]) -> None:
    import psycopg

    url = postgres()
    ledger = Ledger(url, app_version="1", patience=0.3)
    ledger.begin(launch(batch(record("raw/a"))))
    with psycopg.connect(url.replace("+psycopg", "")) as other:
        other.execute("LOCK TABLE meta.ingestion_runs")
        with pytest.raises(LedgerError, match="is in use by another process"):
            ledger.begin(launch(batch(record("raw/a"))))
    ledger.begin(launch(batch(record("raw/a"))))


def test_a_user_who_may_not_create_anything(postgres: Callable[[], str]) -> None:
    import psycopg

    url = postgres()
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("DROP ROLE IF EXISTS guest")
        connection.execute("CREATE ROLE guest LOGIN")
    guest = Ledger(url.replace("ledger@", "guest@"), app_version="1")
    with pytest.raises(LedgerError, match="cannot be used: permission denied for database"):
        guest.begin(launch(batch(record("raw/a"))))
    Ledger(url, app_version="1").begin(launch(batch(record("raw/a"))))
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("GRANT USAGE ON SCHEMA meta TO guest")
        connection.execute("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA meta TO guest")
    guest.begin(launch(batch(record("raw/a"))))
    assert len(guest.runs()) == 2
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("DROP OWNED BY guest")
        connection.execute("DROP ROLE guest")


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        (
            "mysql://u:p@h/db",
            "the ledger cannot be kept in mysql",
            "`ledger:` is sqlite, or the URL of an SQLite, DuckDB or PostgreSQL database",
        ),
        (
            "duckdb",
            "the ledger's URL 'duckdb' cannot be read",
            "write `ledger: sqlite`, or a URL such as duckdb:///history.duckdb or "
            "postgresql+psycopg://user@host/database",
        ),
        ("duckdb://", "a ledger in memory keeps nothing", "name a file: duckdb:///history.duckdb"),
        ("sqlite:///:memory:", "a ledger in memory keeps nothing", "name a file: sqlite:///history.sqlite"),
        (
            "postgresql+nodriver://h/db",
            "the driver for the ledger postgresql+nodriver://h/db is not installed",
            "pip install 'raw-trigger[postgres]'",
        ),
    ],
)
def test_a_url_that_cannot_be_used(url: str, message: str, hint: str) -> None:
    for error in errors_of(url):
        assert (error.message, error.hint, error.exit_code) == (message, hint, 3)


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("duckdb:////tmp/none.duckdb", "duckdb_engine", "duckdb"),
        ("postgresql+psycopg://h/db", "psycopg", "postgres"),
    ],
)
def test_a_driver_that_is_not_installed(url: str, module: str, extra: str) -> None:
    """In an interpreter that cannot import it."""
    code = (
        "import sys\n"
        f"sys.modules[{module!r}] = None\n"
        "from raw_trigger.ledger import Ledger\n"
        "from raw_trigger.errors import LedgerError\n"
        "from tests.ledger.conftest import batch, launch, record\n"
        "try:\n"
        f"    Ledger({url!r}, app_version='1').begin(launch(batch(record('raw/a'))))\n"
        "except LedgerError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        f"the driver for the ledger {url.replace('duckdb:///', '')} is not installed\n"
        f"  pip install 'raw-trigger[{extra}]'\n"
    )
