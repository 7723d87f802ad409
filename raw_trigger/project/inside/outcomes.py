"""The outcomes of targets: sent as they become known, and remembered for the targets that come later."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping

from .channel import Channel
from .compat.assets import asset_key
from .errors import plain_error
from .project import Project
from .targets import Document, Identity, identity, joined, predecessors


class Outcomes:
    """Sends what becomes of each target. ``states`` are the statuses by target."""

    def __init__(self, channel: Channel, project: Project) -> None:
        self.states: dict[Identity, str] = {}
        self._channel = channel
        self._project = project

    def tell(
        self,
        batch: int,
        target: Document,
        status: str,
        *,
        run_id: str | None = None,
        seconds: float | None = None,
        error: Document | None = None,
        checks: list[Document] | None = None,
        reads: Document | None = None,
        materialized: bool = False,
    ) -> None:
        """Sends the outcome of one target, and remembers it for later targets."""
        self.states[identity(target)] = status
        self._channel.send(
            {
                "event": "target",
                "batch": batch,
                "asset": target["asset"],
                "partition": target["partition"],
                "status": status,
                "first": target.get("first", False),
                "run_id": run_id,
                "seconds": None if seconds is None else round(seconds, 3),
                "error": error,
                "checks": checks or [],
                "reads": reads,
                "materialized": materialized,
            }
        )

    @contextlib.contextmanager
    def bracket(self, batch: int, run_id: str | None) -> Iterator[list[str]]:
        """Sends ``batch-started`` and ``batch-finished`` around one run; gives the list of its statuses."""
        began = time.monotonic()
        statuses: list[str] = []
        ended = False
        self._channel.send({"event": "batch-started", "batch": batch, "run_id": run_id})
        try:
            yield statuses
            ended = True
        finally:
            self._channel.send(
                {
                    "event": "batch-finished",
                    "batch": batch,
                    "run_id": run_id,
                    "success": ended and set(statuses) <= {"success"},
                    "seconds": round(time.monotonic() - began, 3),
                }
            )

    def after_the_failed(self, batch: int, targets: list[Document], statuses: list[str]) -> list[Document]:
        """Returns the targets without those that come after a failed one; it reports these."""
        rest = targets
        while True:
            dropped: dict[Identity, str] = {}
            for target in rest:
                for parts, partition in predecessors(target):
                    if self.states.get((parts, partition)) in ("failed", "skipped"):
                        dropped[identity(target)] = f"upstream {joined(parts)} failed"
                        break
            self._with_their_set(rest, dropped)
            if not dropped:
                return rest
            rest = self.drop(batch, rest, dropped, "skipped", statuses)

    def _with_their_set(self, targets: list[Document], dropped: dict[Identity, str]) -> None:
        """Drops a multi-asset that can only run as a whole if one of its assets is dropped."""
        reasons = {asset_key(list(parts)): reason for (parts, _), reason in dropped.items()}
        for target in targets:
            node = self._project.find(target)
            if node is None or not node.execution_set - {node.key}:
                continue
            for other in node.execution_set & reasons.keys():
                dropped.setdefault(identity(target), reasons[other])

    def drop(
        self,
        batch: int,
        targets: list[Document],
        dropped: Mapping[Identity, str],
        status: str,
        statuses: list[str],
    ) -> list[Document]:
        """Reports the dropped targets, and returns the others.

        Args:
            dropped: Why, by target.
            statuses: Takes the status of each dropped target.
        """
        rest = []
        for target in targets:
            reason = dropped.get(identity(target))
            if reason is None:
                rest.append(target)
            else:
                statuses.append(status)
                self.tell(batch, target, status, error=plain_error(reason))
        return rest
