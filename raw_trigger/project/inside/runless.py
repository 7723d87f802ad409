"""Changes that Dagster records without a run: reported assets, deleted partitions."""

from __future__ import annotations

from collections.abc import Callable

from .compat.assets import Node
from .compat.instance import report_asset_event
from .compat.partitions import delete_partition, is_dynamic
from .errors import UnfitError, error_of, plain_error
from .outcomes import Outcomes
from .project import Project
from .targets import Document, joined


def report(project: Project, outcomes: Outcomes, batch: Document) -> None:
    """Reports that something outside Dagster changed the assets."""

    def change(target: Document, node: Node) -> None:
        report_asset_event(
            project.instance,
            node.key,
            partition=target["partition"],
            data_version=target.get("data_version"),
            metadata=target.get("metadata") or {},
            as_observation=target.get("report_as") == "observation",
        )

    _carry_out(project, outcomes, batch, change)


def delete(project: Project, outcomes: Outcomes, batch: Document) -> None:
    """Deletes keys of dynamic partitions."""

    def change(target: Document, node: Node) -> None:
        if not is_dynamic(node.partitions):
            raise UnfitError(f"the partitions of {joined(target['asset'])} are not dynamic")
        delete_partition(project.instance, node.partitions, target["partition"])

    _carry_out(project, outcomes, batch, change)


def _carry_out(
    project: Project, outcomes: Outcomes, batch: Document, change: Callable[[Document, Node], None]
) -> None:
    number = batch["number"]
    with outcomes.bracket(number, None) as statuses:
        for target in outcomes.after_the_failed(number, batch["targets"], statuses):
            error: Document | None = None
            tried = False
            node = project.find(target)
            if node is None:  # Dagster would add an asset of this name
                error = plain_error(f"{joined(target['asset'])} is not in the Dagster project")
            else:
                try:
                    change(target, node)
                except UnfitError as unfit:
                    error = plain_error(str(unfit))
                except Exception as raised:
                    error = error_of(raised)
                    tried = True  # what fails late may be stored all the same
            status = "failed" if error else "success"
            statuses.append(status)
            outcomes.tell(number, target, status, error=error, materialized=tried)
