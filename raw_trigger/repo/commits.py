"""Names commits. GitPython is imported when it is needed: the import takes 50 ms."""

from __future__ import annotations

from raw_trigger.repo.repository import Repository


def headline(repo: Repository, commit: str) -> str:
    """Returns the short id and the first line of the message: ``a710709 Diego has moved to Portugal``.

    Raises:
        git.GitCommandError: there is no such commit.
    """
    import git

    with git.Repo(repo.common_dir) as opened:
        return str(opened.git.show("--no-patch", "--format=%h %s", commit))
