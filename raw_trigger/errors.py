"""The errors that a user can meet, in one hierarchy.

Every error says what happened, where, and (``hint``) what to do next. The command line turns it into one
message and its ``exit_code``; nothing below the command line exits or prints.
"""

from __future__ import annotations

from typing import ClassVar, Literal

ROOM = "make room on that disk, or see who may write there, and do it again; nothing that is pending is lost"
"""What to do if something cannot be written."""


class RawTriggerError(Exception):
    """Says what went wrong, in words that a user can act on.

    Args:
        message: What happened and where, in one sentence without advice.
        hint: What to do next, on one line.
        detail: Lines shown between the two, such as the project's own traceback, shortened.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, hint: str | None = None, detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    @property
    def lines(self) -> tuple[str, ...]:
        """Returns what happened, a line each. What else looks like the end of one came with a name."""
        return (self.message,)

    @property
    def line(self) -> str:
        """Returns what happened and what to do next as one line, for a warning."""
        return self.message if self.hint is None else f"{self.message}; {self.hint}"

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  {self.hint}"


class UsageError(RawTriggerError):
    """Says that arguments contradict each other or name something that does not exist."""

    exit_code = 2


class ConfigError(RawTriggerError):
    """Says what is wrong in ``raw-trigger.yaml``. The message begins with ``file:line:column:``.

    Args:
        listed: Whether each line of the message is a problem of its own.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str | None = None, *, listed: bool = False) -> None:
        super().__init__(message, hint)
        self._listed = listed

    @property
    def lines(self) -> tuple[str, ...]:
        """Returns the problems."""
        return tuple(self.message.split("\n")) if self._listed else (self.message,)


class GitError(RawTriggerError):
    """Says that git refused, or that there is no repository."""


class EventError(RawTriggerError):
    """Says that the CI system's event is missing, unreadable, or does not tell what changed."""


class ProjectError(RawTriggerError):
    """Says that the Dagster project cannot be found, loaded or run."""


class DeploymentError(ProjectError):
    """Says that a deployment of Dagster refuses, or is not what the configuration says."""


class UnreachableError(DeploymentError):
    """Says that a deployment gave no answer.

    Args:
        arrived: Whether the request may have arrived all the same.
    """

    def __init__(self, message: str, hint: str | None = None, *, arrived: bool = False) -> None:
        super().__init__(message, hint)
        self.arrived = arrived


class DocumentError(RawTriggerError):
    """Says that a file which may be a stranger's cannot be read, or not safely."""

    exit_code = 2


class RecordError(RawTriggerError):
    """Says that the recorded tree cannot be read or was moved by another process."""


class TableError(RawTriggerError):
    """Says that a table cannot be read or compared. The message begins with the table's name.

    Args:
        place: The table's name, and the line if one is to blame (``a.csv:3``).
        what: What is wrong.
        side: Whether it is the version compared with (``old``) or the one that should be reflected.
    """

    exit_code = 2

    def __init__(
        self, place: str, what: str, hint: str | None = None, side: Literal["old", "new"] = "new"
    ) -> None:
        super().__init__(f"{place}: {what}", hint)
        self.place = place
        self.what = what
        self.side = side


class LedgerError(RawTriggerError):
    """Says that the run history cannot be read or written. What is pending does not depend on it."""
