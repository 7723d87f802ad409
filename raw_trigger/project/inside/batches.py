"""The batches of a request."""

from __future__ import annotations

from . import jobs, runless
from .channel import Channel
from .materialize import Materializer
from .outcomes import Outcomes
from .project import Project
from .reading import Reading
from .targets import Document


def carry_out(request: Document, channel: Channel, project: Project, reading: Reading) -> None:
    """Carries out every batch, in order; a failure does not keep the next one from running.

    Raises:
        Interrupted: a signal arrived while a run was on.
        SystemExit: nobody listens any more.
    """
    outcomes = Outcomes(channel, project)
    materializer = Materializer(channel, project, outcomes, reading, request)
    for batch in request["batches"]:
        if channel.gone:
            raise SystemExit("nobody listens any more")
        if batch["kind"] == "report":
            runless.report(project, outcomes, batch)
        elif batch["kind"] == "job":
            jobs.launch(project, outcomes, batch, request.get("tags") or {})
        elif batch["kind"] == "delete-partition":
            runless.delete(project, outcomes, batch)
        else:
            materializer.carry_out(batch)
