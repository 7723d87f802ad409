"""Several projects in one job: each runs in its own process, and their results are combined.

The plan file of such a job holds the plans of all. A batch belongs to one project, which ``project`` in the
matrix names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from raw_trigger.ci import outputs
from raw_trigger.ci.matrix import MOST_BATCHES
from raw_trigger.documents import load_json, read_bytes
from raw_trigger.errors import UsageError
from raw_trigger.model.settings import folder_name
from raw_trigger.render import words
from raw_trigger.workspace.places import Place

_WRITTEN = re.compile(r"^([a-z-]+)<<(raw_trigger_[0-9a-f]{32})\n(.*?)\n\2$", re.MULTILINE | re.DOTALL)
_WORST = ("failed", "partial", "success", "nothing")


def own_plan(plan_file: Path, place: Place) -> Path:
    """Returns the plan file of one of several projects."""
    return plan_file.with_name(f"{plan_file.stem}.{_name(place)}.json")


def own_results(results: Path, place: Place) -> Path:
    """Returns the folder for the results of one of several projects."""
    return results / _name(place)


def _name(place: Place) -> str:
    return folder_name(place.folder) if place.folder else "top"


def write_plans(plan_file: Path, places: Sequence[Place]) -> bool:
    """Combines the projects' own plan files; writes nothing and returns False if one is missing."""
    files = [own_plan(plan_file, place) for place in places]
    if not all(file.exists() for file in files):
        return False
    pieces = []
    for place, file in zip(places, files, strict=True):
        pieces.append(f'{{"project": {json.dumps(place.name)}, "plan": {file.read_text("ascii")}}}')
    plan_file.write_text('{"version": 1, "projects": [\n' + ",\n".join(pieces) + "\n]}\n", "ascii")
    return True


def take_plan(plan_file: Path, place: Place) -> bool:
    """Extracts a project's own plan file from that of several projects; False if it is no such file.

    Raises:
        UsageError: the project is not in it, or its own file cannot be written.
    """
    try:
        found = load_json(read_bytes(plan_file))
    except (OSError, ValueError):
        return False
    if not isinstance(found, dict) or not isinstance(found.get("projects"), list):
        return False
    for one in found["projects"]:
        if isinstance(one, dict) and one.get("project") == place.name:
            try:
                own_plan(plan_file, place).write_text(json.dumps(one.get("plan")), "ascii")
            except OSError as error:
                raise UsageError(
                    f"{own_plan(plan_file, place)} cannot be written: {error.strerror}"
                ) from error
            return True
    raise UsageError(
        f"{plan_file} has no plan for the project {words.printable(place.name)}",
        "hand on the plan file that `raw-trigger ci --mode plan` wrote for the same commit",
    )


def read_outputs(text: str) -> dict[str, str]:
    """Returns the outputs that :func:`raw_trigger.ci.outputs.write` wrote; the last of a repeated name."""
    return {found[1]: found[3] for found in _WRITTEN.finditer(text)}


def merged(found: Sequence[tuple[Place, Mapping[str, str]]], plan_file: str) -> dict[str, str]:
    """Returns the outputs of all projects as those of one job.

    Targets and batches name their project. There is no selection across several projects.

    Args:
        found: The projects and their outputs.
        plan_file: The output ``plan``.

    Raises:
        UsageError: there are more batches than GitHub makes jobs.
    """
    every = [{**outputs.UNKNOWN, **values} for _, values in found]
    incomplete = {name for values in every for name in json.loads(values["incomplete"])}

    def listed(name: str, items: Iterable[object]) -> str:
        text, whole = outputs.listed(items)
        incomplete.update(() if whole else (name,))
        return text

    names = [place.name for place, _ in found]
    changed = {values["changed"] for values in every}
    targets = [
        {**target, "project": name}
        for name, values in zip(names, every, strict=True)
        for target in json.loads(values["targets"])
    ]
    selections = [values["selection"] for values in every if values["selection"]]
    if len(selections) > 1:
        incomplete.add("selection")
    bases, heads = ({values[name] for values in every} for name in ("base", "head"))
    return {
        "changed": next(word for word in ("true", "null", "false") if word in changed),
        "changed-files": listed(
            "changed-files",
            sorted({path for values in every for path in json.loads(values["changed-files"])}),
        ),
        "assets": listed("assets", sorted({key for values in every for key in json.loads(values["assets"])})),
        "targets": listed("targets", targets),
        "selection": selections[0] if len(selections) == 1 else "",
        **_matrix(names, every),
        "plan": plan_file,
        "outcome": _outcome([values["outcome"] for values in every]),
        "base": bases.pop() if len(bases) == 1 else "",
        "head": heads.pop() if len(heads) == 1 else "",
        "incomplete": json.dumps(sorted(incomplete)),
    }


def _matrix(names: Sequence[str], every: Sequence[Mapping[str, str]]) -> dict[str, str]:
    cells = [
        {**cell, "name": f"{words.printable(name)}: {cell['name']}", "project": name}
        for name, values in zip(names, every, strict=True)
        for cell in json.loads(values["matrix"])["include"]
    ]
    if len(cells) > MOST_BATCHES:
        raise UsageError(
            f"there are {len(cells)} batches, and GitHub makes {MOST_BATCHES} jobs of a matrix at most",
            "give a smaller --matrix: it counts for each project",
        )
    text = json.dumps({"include": cells})
    if len(text) > outputs.LIMIT:
        cells = [{**cell, "name": f"batch {cell['batch']}"} for cell in cells]
        text = json.dumps({"include": cells})
    return {"matrix": text, "batches": str(len(cells))}


def _outcome(found: Sequence[str]) -> str:
    """Returns the worst outcome, but ``partial`` if some succeeded and others failed."""
    known = {one for one in found if one}
    if "failed" in known and "success" in known:
        return "partial"
    return next((word for word in _WORST if word in known), next(iter(known), ""))
