"""Names commits. GitPython is imported when it is needed: the import takes 50 ms."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from raw_trigger.repo.repository import Repository

_COMMITTER = re.compile(rb"^committer .*> (\d{1,12}) ([+-])(\d\d)(\d\d)$", re.MULTILINE)


def committed(repo: Repository, oid: str) -> datetime | None:
    """Returns when a commit was made; None if it is not here or does not say.

    Raises:
        GitError: git cannot read it.
    """
    [found] = repo.objects.look(oid)
    if found is None or found.kind != "commit":
        return None
    told = _COMMITTER.search(repo.objects.contents([oid])[0].partition(b"\n\n")[0])
    if told is None:
        return None
    seconds, sign, hours, minutes = told.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == b"-" else 1)
    try:
        return datetime.fromtimestamp(int(seconds), timezone(offset))
    except (ValueError, OverflowError):  # as other tools may have written it
        return None


def headline(repo: Repository, commit: str) -> str:
    """Returns the short id and the first line of the message: ``a710709 Diego has moved to Portugal``.

    Raises:
        git.GitCommandError: there is no such commit.
    """
    import git

    with git.Repo(repo.common_dir) as opened:
        return str(opened.git.show("--no-patch", "--format=%h %s", commit))
