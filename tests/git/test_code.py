"""The code of a project is what its folder has besides raw data and what people read."""

from __future__ import annotations

import pytest

from raw_trigger.repo.code import code_of
from raw_trigger.repo.repository import Repository
from tests.conftest import Repo

FILES = {
    "shop/defs.py": "1",
    "shop/data/1_raw/a.csv": "1",
    "shop/data/queries.sql": "1",
    "other/defs.py": "1",
}


@pytest.mark.parametrize(
    ("folder", "edited", "differs"),
    [
        ("shop", "shop/defs.py", True),
        ("shop", "shop/data/queries.sql", True),
        ("shop", "shop/data/1_raw/a.csv", False),
        ("shop", "shop/data/1_raw/sub/b.csv", False),
        ("shop", "shop/README.md", False),
        ("shop", "shop/docs/definitions.json", True),
        ("shop", "shopping/defs.py", False),
        ("shop", "other/defs.py", False),
        ("", "other/defs.py", True),
        ("", "uv.lock", True),
        ("", ".github/workflows/raw-data.yml", False),
        ("", "shop/data/1_raw/a.csv", False),
    ],
)
def test_another_code(repo: Repo, folder: str, edited: str, differs: bool) -> None:
    def code() -> str:
        return code_of(Repository.discover(repo.top), "HEAD", folder, ["shop/data/1_raw"])

    repo.commit(FILES)
    before = code()
    repo.commit({edited: "2"})
    assert (code() != before) == differs
