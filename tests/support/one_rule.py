"""A repository with one rule and one file, planned and run without Dagster."""

from __future__ import annotations

from raw_trigger.adopt import adopt
from raw_trigger.model.assets import Asset, Partitions
from raw_trigger.model.outcome import Outcome
from raw_trigger.model.plan import Plan
from raw_trigger.planner import Wishes
from raw_trigger.revisions import from_arguments
from raw_trigger.trigger import Trigger
from tests.conftest import Repo
from tests.support.pretended import PretendedLauncher, opened

DYNAMIC = Partitions("dynamic", name="concepts")
CATALOG = {
    asset.key: asset
    for asset in (
        Asset("concepts", ("concepts",), "here", partitions=DYNAMIC),
        Asset("seen", ("seen",), "here", kind="external", partitions=DYNAMIC),
        Asset("child", ("child",), "here", partitions=DYNAMIC, parents=("seen",)),
        Asset("all", ("all",), "here", parents=("seen",)),
        Asset("whole", ("whole",), "here"),
    )
}
ROWS = "rows: {key: id, columns: [id, active], partition: '{id}'}"
START = "id,active,note\nA,1,x\nB,1,x\nC,1,x\n"


class Ground:
    """A repository with one rule, recorded as it is at first."""

    def __init__(self, repo: Repo, rule: str, path: str, content: str | bytes) -> None:
        self.repo, self.path = repo, path
        self.rule(rule, adopt=False)
        self.write(content)
        repo.git("add", "-A")
        repo.git("commit", "-q", "-m", "start")
        adopt(self.trigger().planner, repo.git("rev-parse", "HEAD^{tree}"))

    def rule(self, text: str, *, adopt: bool = False) -> None:
        (self.repo.top / "raw-trigger.yaml").write_text(f"assets:\n  - {{path: {self.path!r}, {text}}}\n")

    def write(self, content: str | bytes | None) -> None:
        file = self.repo.top / "data/1_raw" / self.path
        file.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content.encode() if isinstance(content, str) else content)

    def trigger(self, wishes: Wishes | None = None) -> Trigger:
        return opened(self.repo.top, CATALOG, wishes)

    def plan(self, *arguments: str) -> Plan:
        trigger = self.trigger()
        workspace = trigger.workspace
        base, desired = from_arguments(workspace.repo, workspace.environment, list(arguments))
        return trigger.planner.plan(trigger.planner.detect(base, desired), launching=True)

    def due(self) -> list[str]:
        return [one.target.text for one in self.plan().actionable]

    def run(
        self, *failing: str, wishes: Wishes | None = None, everything: bool = False
    ) -> tuple[list[str], Outcome]:
        """What ran, and what became of it."""
        trigger, launcher = self.trigger(wishes), PretendedLauncher(failing)
        base, desired = from_arguments(trigger.workspace.repo, "local", [], everything=everything)
        with trigger.planned(base, desired, face="cli") as plan:
            outcome = trigger.run(plan, launcher, face="cli")
        return sorted(launcher.ran), outcome
