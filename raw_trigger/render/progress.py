"""Shows progress: a line for every finished target and, at a terminal, a bar below them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console

from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.render.terminal import is_screen

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


class Progress:
    """Shows progress while ``with progress as finished`` lasts; call ``finished`` with every target.

    Args:
        tell: Writes the line of a target.
        console: Where it writes.
    """

    def __init__(self, tell: Callable[[TargetOutcome], None], console: Console, expected: int) -> None:
        self._tell = tell
        self._console = console
        self._expected = expected
        self._done = 0
        self._bar: Bar | None = None

    def expect(self, count: int) -> None:
        """Takes the number of targets that there will be."""
        self._expected = count
        self._show("starting Dagster")

    def __enter__(self) -> Progress:
        if self._expected:
            self.expect(self._expected)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: TargetOutcome) -> None:
        self._done += not done.first  # they are not in what is expected
        self._tell(done)
        self._show("at work")

    def _show(self, text: str) -> None:
        if self._bar is None:
            # A bar on another console of the same terminal would not make way for the lines.
            console = self._console if is_screen(self._console) else Console(stderr=True)
            if not is_screen(console) or not self._expected:
                return
            self._bar = _bar(console)
            self._bar.add_task(text, total=self._expected)
            self._bar.start()
        self._bar.update(
            self._bar.task_ids[0], description=text, completed=self._done, total=self._expected, refresh=True
        )


def _bar(console: Console) -> Bar:
    # Imported here: most runs have no terminal, and the import takes time.
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    # Rich would redirect stdout and stderr to the terminal, also if they are a file or a pipe.
    return Bar(
        *columns,
        console=console,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=sys.stderr.isatty(),
    )
