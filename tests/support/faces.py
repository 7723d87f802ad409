"""Every way to ask whether a target is pending, of the same repository."""

from __future__ import annotations

import json

from tests.support.project import ROOT, StandInProject, name, pending


def silent(project: StandInProject, target: str, path: str, **environ: str) -> list[str]:
    """The faces that do not say that the target is pending because of this raw file."""
    plan = project.plan(**environ)
    status = json.loads(project.tool("status", "--format", "json", **environ).stdout)
    explained = json.loads(
        project.tool("explain", f"{ROOT}/{path}", "--format", "json", **environ).stdout or "[]"
    )
    said = {
        "diff": target in pending(plan),
        "diff --exit-code": project.tool("diff", "--exit-code", **environ).returncode == 1,
        "status": target in map(name, status["targets"]),
        "explain": any(one["pending"] for one in explained),
    }
    return [face for face, does in said.items() if not does]
