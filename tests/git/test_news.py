"""A time window that is open is told once a day."""

from __future__ import annotations

from datetime import date

import pytest

from raw_trigger.hooks.run import is_news
from raw_trigger.workspace.workspace import open_workspace
from tests.conftest import Repo

TODAY, TOMORROW = date(2026, 1, 10), date(2026, 1, 11)


def test_a_file_that_waits_is_told_once_a_day(repo: Repo) -> None:
    workspace = open_workspace(repo.top)
    told = [
        is_news(workspace, files, day)
        for files, day in (
            ({b"a"}, TODAY),
            ({b"a"}, TODAY),
            ({b"a", b"\xff"}, TODAY),
            ({b"\xff"}, TODAY),
            ({b"a"}, TODAY),
            ({b"a"}, TOMORROW),
            ({b"a"}, TOMORROW),
        )
    ]
    assert told == [True, False, True, False, False, True, False]


@pytest.mark.parametrize("content", ["{", "[]", '{"day": "2026-01-10", "files": 1}'])
def test_whatever_is_wrong_with_the_note_it_is_told(repo: Repo, content: str) -> None:
    workspace = open_workspace(repo.top)
    repo.write({".git/raw-trigger/told/local.json": content})
    assert is_news(workspace, {b"a"}, TODAY)
    assert not is_news(workspace, {b"a"}, TODAY)
