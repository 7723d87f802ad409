"""Inserts new rules into the text of ``raw-trigger.yaml``; everything else in it stays. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from raw_trigger.initialize.text import scalar
from raw_trigger.learn.proposing import NewRule

_INDENT = 2


def lines_of(rule: NewRule, indent: int = _INDENT) -> list[str]:
    """Returns the lines of the rule as an entry of ``assets:``."""
    keys = [scalar(asset) for asset in rule.assets]
    lines = [f"- path: {scalar(rule.path)}"]
    lines.append(f"  asset: {keys[0]}" if len(keys) == 1 else f"  assets: [{', '.join(keys)}]")
    if len(rule.partition) == 1 and rule.partition[0][0] is None:
        lines.append(f"  partition: {scalar(rule.partition[0][1])}")
    elif rule.partition:
        lines.append("  partition:")
        lines += [f"    {scalar(name or '')}: {scalar(key)}" for name, key in rule.partition]
    return [" " * indent + line for line in lines]


def new_file(root: str, rules: Sequence[NewRule]) -> str:
    """Returns the text of a file with only these rules."""
    lines = [f"root: {scalar(root)}", "", "assets:", *(line for rule in rules for line in lines_of(rule))]
    return "\n".join(lines) + "\n"


def inserted(text: str, rules: Mapping[int | None, Sequence[NewRule]]) -> str | None:
    """Returns the text with the rules; None if the present rules are in brackets or behind an alias.

    Args:
        text: The present text, which can be parsed.
        rules: New rules by the number of the present rule that they go before; None: after all of them.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.split(newline)
    found = _rules(text)
    if found is None:
        every = [line for some in rules.values() for rule in some for line in lines_of(rule)]
        while lines and not lines[-1].strip():
            lines.pop()
        return newline.join([*lines, *([""] if lines else []), "assets:", *every, ""])
    key, node = found
    if isinstance(node, ScalarNode) or not node.value:  # `assets:` with nothing in it, or `assets: []`
        every = [line for some in rules.values() for rule in some for line in lines_of(rule)]
        at = key.end_mark.line
        if isinstance(node, SequenceNode) and node.end_mark.line != at:
            return None
        lines[at] = lines[at][: key.end_mark.column] + ":"
        lines[at + 1 : at + 1] = every
        return newline.join(lines)
    if not isinstance(node, SequenceNode) or node.flow_style:
        return None
    indent = node.start_mark.column
    places = _places(lines, node, rules)
    for number in sorted(places, key=lambda one: -places[one]):
        new = [line for rule in rules[number] for line in lines_of(rule, indent)]
        lines[places[number] : places[number]] = new
    return newline.join(lines)


def _places(
    lines: Sequence[str], node: SequenceNode, numbers: Mapping[int | None, object]
) -> dict[int | None, int]:
    """Returns the line that each is inserted before."""
    found: dict[int | None, int] = {}
    for number in numbers:
        if number is None:
            found[number] = _last_line(node) + 1
            continue
        at = node.value[number].start_mark.line
        # A comment directly above a rule belongs to it.
        while at > 0 and lines[at - 1].strip().startswith("#"):
            at -= 1
        found[number] = at
    return found


def _rules(text: str) -> tuple[Node, Node] | None:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, MappingNode):
        return None
    return next(((key, value) for key, value in root.value if key.value == "assets"), None)


def _last_line(node: Node) -> int:
    """Returns the last line with something of the node on it: YAML ends a block after its comments."""
    if isinstance(node, MappingNode):
        inner = [part for pair in node.value for part in pair]
    elif isinstance(node, SequenceNode):
        inner = list(node.value)
    else:
        inner = []
    if not inner or (isinstance(node, MappingNode | SequenceNode) and node.flow_style):
        mark = node.end_mark
        return int(mark.line) - (mark.column == 0 and mark.line > node.start_mark.line)
    return max(map(_last_line, inner))
