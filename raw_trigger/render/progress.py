"""Progress while a plan is carried out: a line for every finished target, a status line at a terminal."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.status import Status

from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.render import words


class Progress:
    """Used as ``with progress as finished``; ``finished`` is told every target."""

    def __init__(self, tell: Callable[[TargetOutcome], None], expected: int) -> None:
        self._tell = tell
        self._expected = expected
        self._done = 0
        self._status: Status | None = None

    def expect(self, count: int) -> None:
        """How many targets there will be."""
        self._expected = count
        self._show("starting Dagster")

    def __enter__(self) -> Progress:
        if self._expected:
            self.expect(self._expected)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, done: TargetOutcome) -> None:
        self._done += 1
        self._tell(done)
        self._show(f"{self._done} of {words.plural(self._expected, 'asset')}")

    def _show(self, text: str) -> None:
        console = Console(stderr=True)
        if not console.is_terminal or not self._expected:
            return
        if self._status is None:
            self._status = console.status(text)
            self._status.start()
        self._status.update(text)
