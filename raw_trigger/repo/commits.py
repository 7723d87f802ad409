"""What a commit is called. Through GitPython, imported when it is needed: it costs 50 ms."""

from __future__ import annotations

from raw_trigger.repo.repository import Repository


def headline(repo: Repository, commit: str) -> str:
    """``a710709 Diego has moved to Portugal``: the short id and the first line of the message.

    Raises:
        git.GitCommandError: there is no such commit.
    """
    import git

    with git.Repo(repo.common_dir) as opened:
        return str(opened.git.show("--no-patch", "--format=%h %s", commit))
