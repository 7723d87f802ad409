"""Where the ledger is, and what it costs to know that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from raw_trigger.config import load_config
from raw_trigger.errors import ConfigError, LedgerError
from raw_trigger.ledger import Ledger
from raw_trigger.model.settings import without_password, without_passwords
from tests.ledger.conftest import batch, launch, record


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("sqlite", "sqlite:////git/raw-trigger/ledger.sqlite"),
        ("duckdb:///history.duckdb", "duckdb:////project/history.duckdb"),
        ("sqlite:///a/b.db?timeout=3", "sqlite:////project/a/b.db?timeout=3"),
        ("sqlite+pysqlite:///b.db", "sqlite+pysqlite:////project/b.db"),
        ("duckdb:////data/history.duckdb", "duckdb:////data/history.duckdb"),
        ("duckdb:///:memory:", "duckdb:///:memory:"),
        ("duckdb:///md:history", "duckdb:///md:history"),
        ("postgresql+psycopg://u@h/db", "postgresql+psycopg://u@h/db"),
    ],
)
def test_url_for(setting: str, expected: str) -> None:
    assert Ledger.url_for(setting, Path("/git/raw-trigger"), Path("/project")) == expected
    if "project" not in expected:
        assert Ledger.url_for(setting, Path("/git/raw-trigger")) == expected


@pytest.mark.parametrize("name", ["what?", "100%", "a%20b", "ä b", "a#b"])
def test_odd_folders(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    ledger = Ledger(Ledger.url_for("sqlite", folder), app_version="1")
    ledger.begin(launch(batch(record("raw/a"))))
    assert [path.name for path in folder.iterdir()] == ["ledger.sqlite"]
    other = Ledger(Ledger.url_for("sqlite:///history.db", folder, folder), app_version="1")
    other.begin(launch(batch(record("raw/a"))))
    assert (folder / "history.db").exists()


def test_sqlalchemy_is_imported_only_when_a_database_is_used(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from raw_trigger.ledger import Ledger, owner_alive, this_process\n"
        "import raw_trigger.model.history, raw_trigger.cli.history\n"
        f"Ledger(Ledger.url_for('sqlite', __import__('pathlib').Path({str(tmp_path)!r})), app_version='1')\n"
        "owner_alive(this_process())\n"
        "print(sorted(sys.modules.keys() & {'sqlalchemy', 'rich', 'dagster', 'git', 'sqlite3'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:s3cret@h/db",
        "mysql://u:s3cret@h/db?x=a@b",
        "://u:s3cret@h",
        "postgresql+psycopg://u:s3cret@h:x/db",
        "postgresql+psycopg://u:s3cret@s3cret@localhost:1/db",
        "postgresql+psycopg://u:s3cret/s3cret@localhost:1/db",
        "postgresql+psycopg://u:s3cret%20s3cret@localhost:1/db",
        "postgresql+psycopg://u:s3cret s3cret@localhost:1/db?connect_timeout=1",
        "postgresql+psycopg://u%3As3cret@localhost:1/db",
        "postgresql+psycopg://u%40x:s3cret@localhost:1/db",
        "postgresql+psycopg://localhost:1/db?user=u&password=s3cret&sslmode=disable",
        "postgresql+psycopg://localhost:1/db?sslpassword=s3cret",
        "postgresql+psycopg://localhost:1/db?options=-c%20password%3Ds3cret",
        "postgresql+nodriver://u:s3cret@h/db",
        "duckdb:///md:x?motherduck_token=s3cret&read_only=bogus",
    ],
)
def test_a_url_is_shown_without_its_password(url: str, tmp_path: Path) -> None:
    shown = [without_password(url), without_passwords(f"a traceback: {url!r} is none")]
    with pytest.raises(LedgerError) as caught:
        Ledger(url, app_version="1").open_launches("local")
    shown.append(str(caught.value))
    file = tmp_path / "raw-trigger.yaml"
    file.write_text(f"ledger: '{url.replace('postgresql', 'mysql').replace('duckdb', 'mysql')}'\n")
    with pytest.raises(ConfigError) as refused:
        load_config(file, tmp_path)
    shown.append(str(refused.value))
    assert not [text for text in shown if "s3cret" in text]
