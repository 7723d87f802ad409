"""Draws a plan as a Mermaid graph: raw file → raw asset → downstream assets."""

from __future__ import annotations

from raw_trigger.ci.markup import cut
from raw_trigger.model.plan import Plan, PlannedTarget, Target
from raw_trigger.render import words

_MOST_FILES = 30
_MOST_TARGETS = 60
_MOST_EDGES = 200
_LABEL = 60
# Mermaid refuses more than 500 edges and 50,000 characters (its settings maxEdges and maxTextSize).
_MOST_CHARACTERS = 20_000
_PLAIN = frozenset(" _./-")


def mermaid(plan: Plan) -> str | None:
    """Returns the graph in its fence and a count of what it leaves out; None if there is nothing to draw.

    Many files that feed the same targets are one node.
    """
    groups = _groups(plan)
    shown = {planned.target: planned for planned in plan.actionable}
    drawn = groups[:_MOST_FILES]
    wanted = dict.fromkeys(t for _, targets in drawn for t in targets if t in shown)
    wanted |= dict.fromkeys(t.target for t in plan.actionable if t.origin == "downstream")
    targets = {target: f"t{number}" for number, target in enumerate(list(wanted)[:_MOST_TARGETS])}
    if not targets:
        return None
    lines = ["flowchart LR"]
    lines += [f'  {name}["{_label(target.text)}"]' for target, name in targets.items()]
    edges = [(f"f{n}", targets[t]) for n, (_, fed) in enumerate(drawn) for t in fed if t in targets]
    edges += [(targets[a], targets[b]) for b in targets for a in _direct(shown[b], shown) if a in targets]
    edges = edges[:_MOST_EDGES]
    files = {one for one, _ in edges if one.startswith("f")}
    lines += [
        f'  f{n}(["{_label(_files_label(paths))}"])' for n, (paths, _) in enumerate(drawn) if f"f{n}" in files
    ]
    lines += [f"  {one} --> {other}" for one, other in edges]
    size = 0
    kept = [line for line in lines if (size := size + len(line) + 1) <= _MOST_CHARACTERS]
    missing = len(plan.actionable) - len(targets)
    cut_files = len(groups) - len(files)
    note = ""
    if missing or cut_files or len(kept) < len(lines) or len(edges) == _MOST_EDGES:
        note = "\nThe graph shows only a part of the plan.\n"
    return "```mermaid\n" + "\n".join(kept) + "\n```\n" + note


def _groups(plan: Plan) -> list[tuple[list[bytes], tuple[Target, ...]]]:
    """Returns files, or groups of files if there are many, each with the targets that they feed."""
    fed = [p for p in plan.changes if p.disposition == "planned" and p.targets]
    if len(fed) <= _MOST_FILES:
        return [([p.change.path], p.targets) for p in fed]
    groups: dict[tuple[Target, ...], list[bytes]] = {}
    for planned in fed:
        groups.setdefault(planned.targets, []).append(planned.change.path)
    return [(paths, targets) for targets, paths in groups.items()]


def _files_label(paths: list[bytes]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return cut(words.printable(paths[0]), _LABEL - len(more)) + more


def _direct(planned: PlannedTarget, shown: dict[Target, PlannedTarget]) -> list[Target]:
    """Returns the targets that this one waits for, without those that they themselves wait for."""
    after = [target for target in planned.after if target in shown]
    if len(after) > _MOST_TARGETS:
        return after
    above = {further for target in after for further in shown[target].after}
    return [target for target in after if target not in above]


def _label(value: str) -> str:
    """Returns text for a node: everything but letters and digits as Mermaid's entity codes.

    They are decimal, ``#`` instead of ``&#``, and resolved after the graph has been parsed (Mermaid's
    documentation, "Entity codes to escape characters").
    """
    text = cut(words.printable(value), _LABEL)
    return "".join(c if c in _PLAIN or (c.isalnum() and c.isprintable()) else f"#{ord(c)};" for c in text)
