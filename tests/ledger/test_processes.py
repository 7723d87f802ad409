"""Several processes write to one ledger at the same time."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from raw_trigger.errors import LedgerError
from raw_trigger.ledger import Ledger
from tests.conftest import REPOSITORY_TOP, SOAK
from tests.ledger.conftest import at, batch, launch, outcome, record, rows

PROCESSES, LAUNCHES = (4, 5) if SOAK else (3, 3)
not_postgres = pytest.mark.parametrize(
    "url", ["sqlite", "duckdb", pytest.param("postgres", marks=pytest.mark.soak)], indirect=True
)
"""A server is made for several processes; a file is not."""

WRITER = """
    import sys
    from raw_trigger.ledger import Ledger
    from tests.ledger.conftest import at, batch, launch, outcome, record

    sys.stdin.readline()
    for number in range(int(sys.argv[2])):
        ledger = Ledger(sys.argv[1], app_version="1", place="here", patience=60)
        made = launch(batch(record("raw/same"), record(f"raw/{sys.argv[3]}")), started=at(number))
        ledger.begin(made)
        told = [outcome("raw/same", "success", None, 0.5), outcome(f"raw/{sys.argv[3]}")]
        ledger.finish(made.launch_id, told, ended=at(number + 1))
"""


def start(code: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *args],
        cwd=REPOSITORY_TOP,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_nothing_is_lost_from_the_first_moment(ledger: Ledger) -> None:
    """They all begin at once where there is neither a schema nor a table yet."""
    writers = [start(WRITER, ledger.url, str(LAUNCHES), str(n)) for n in range(PROCESSES)]
    ended = [writer.communicate("go\n", timeout=120) for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * PROCESSES, ended
    found = ledger.runs()
    assert len(found) == min(20, PROCESSES * LAUNCHES)
    assert {run.status for run in found} == {"success"}
    assert len(rows(ledger, "ingestion_run_assets")) == 2 * PROCESSES * LAUNCHES
    assert len(rows(ledger, "asset_watermarks")) == 1 + PROCESSES


@not_postgres
def test_two_that_settle_the_same_launch_close_it_once(ledger: Ledger) -> None:
    made = launch(batch(*(record(f"raw/{n}") for n in range(50))))
    ledger.begin(made)
    code = """
        import sys
        from raw_trigger.ledger import Ledger
        from tests.ledger.conftest import at, outcome

        sys.stdin.readline()
        told = [outcome(f"raw/{n}") for n in range(50)]
        Ledger(sys.argv[1], app_version="1", patience=60).finish(sys.argv[2], told, ended=at(1))
    """
    writers = [start(code, ledger.url, made.launch_id) for _ in range(3)]
    ended = [writer.communicate("go\n", timeout=120) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0], ended
    assert len(rows(ledger, "ingestion_run_assets")) == 50


HOLDERS = {
    "sqlite": """
        import sqlite3, sys
        connection = sqlite3.connect(sys.argv[1], isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
    """,
    "duckdb": """
        import duckdb, sys
        connection = duckdb.connect(sys.argv[1])
    """,
}


@pytest.mark.parametrize("kind", HOLDERS)
def test_a_database_that_somebody_else_keeps_open(kind: str, tmp_path: Path) -> None:
    """It is waited for; if that takes too long, the error says what is in the way."""
    file = tmp_path / "ledger"
    patient = Ledger(f"{kind}:///{file}", app_version="1", patience=30)
    patient.begin(launch(batch(record("raw/a"))))
    holder = start(
        textwrap.dedent(HOLDERS[kind]) + "print('open', flush=True)\nsys.stdin.readline()\n", str(file)
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    hasty = Ledger(f"{kind}:///{file}", app_version="1", patience=0.2)
    for refused in (hasty.runs, lambda: hasty.begin(launch(batch(record("raw/b"))))):
        with pytest.raises(LedgerError) as raised:
            refused()
        assert raised.value.message.startswith(f"the ledger {file} is in use by another process: ")
        assert raised.value.hint == "end what has it open, or try again later; only history depends on it"
    waiting = start(WRITER, patient.url, "1", "late")
    assert waiting.stdin is not None
    waiting.stdin.write("go\n")
    waiting.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(1.5)
    holder.communicate("done\n", timeout=30)
    assert waiting.communicate(timeout=60) == ("", "")
    assert len(patient.runs()) == 2


@not_postgres
def test_the_database_is_free_between_two_writes(ledger: Ledger) -> None:
    """A process that holds a ledger does not keep others out while a run is on."""
    made = launch(batch(record("raw/mine")))
    ledger.begin(made)
    other = start(WRITER, ledger.url, "1", "other")
    assert other.communicate("go\n", timeout=60) == ("", "")
    ledger.finish(made.launch_id, [outcome("raw/mine")], ended=at(1))
    assert [run.status for run in ledger.runs()] == ["success", "success"]
