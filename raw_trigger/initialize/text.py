"""Writes the text of the file: rules and comments. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence

import yaml

from raw_trigger.initialize.values import (
    DATA,
    Findings,
    Proposal,
    as_pattern,
    as_template,
    escaped,
    is_odd,
    is_text,
    joined,
    kind_of,
    shown,
)
from raw_trigger.mapping.patterns import built_in
from raw_trigger.mapping.rules import Match
from raw_trigger.model.project import DagsterOptions
from raw_trigger.model.text import sample

_TABLES = DATA - {".txt"}
"""A file like these without an asset probably lacks one; any other file can probably be ignored."""

NO_RULE = (
    "# These files need no rule: an asset names its file in its metadata, or has its name and the key",
    "# prefix or group `raw` (the convention).",
)
"""Heads the list of files, with what is made from them."""

UNMAPPED = (
    "# Nothing is made from these files. Give each an asset, or ignore it:",
    "# The files. Give each an asset, or ignore it:",
)
"""Heads the rules to complete; the second if the Dagster project was not loaded."""

DOUBTFUL = "# Any name could be a key of dynamic partitions; nothing says that these are. If so, use:"
"""Heads rules of one line each, with their reason at the end."""

UNFED = "# Assets that depend on no other, and that no raw file feeds:"
"""Heads the list of their keys."""

_MOST_LINES = 40
"""The most lines of a list; the rest is counted."""

_MANY = 4
"""So many files of one folder are shown as one line."""


def compose(
    findings: Findings,
    mapped: Mapping[str, Match],
    proposals: Sequence[Proposal],
    doubtful: Sequence[tuple[Proposal, Sequence[str]]],
    leftover: Sequence[str],
    unsure: Mapping[str, tuple[str, ...]],
    problems: Sequence[str],
    unfed: Sequence[str],
) -> str:
    """Returns the whole text.

    Args:
        findings: What was found.
        mapped: The files that need no rule, by name, and what maps them.
        proposals: The rules, in their order.
        doubtful: Rules without evidence, and the files without an asset that they would map.
        leftover: The files without an asset.
        unsure: The assets that some of these may belong to.
        problems: Lines about files that lead to what cannot be materialized.
        unfed: Asset keys.
    """
    lines = [
        "# Which Dagster assets are made from which raw files. `raw-trigger explain PATH` shows what decides",
        "# about a file, `raw-trigger check` compares this file with the assets and the files, and",
        "# `raw-trigger learn` proposes rules from what the assets read.",
        "# An editor completes and checks it with the schema: raw-trigger schema > raw-trigger.schema.json",
        "",
        f"root: {scalar(findings.root)}",
        "",
        *_dagster(findings.options),
        "",
        "# Everything else has a default; the schema describes every key.",
        "",
        *_mapped(mapped),
        "# Paths are relative to the root; the first rule that matches decides.",
        "assets:",
    ]
    said = None
    for proposal in proposals:
        why = f"Guess: {proposal.why}" if proposal.guess else proposal.why
        if why != said:
            lines += [] if said is None else [""]
            lines.append(f"  # {why}")
        lines.append(rule_text(proposal))
        said = why
    gap = [""] if proposals else []
    if problems:
        lines += [*gap, "  # These lead to what cannot be materialized:"]
        lines += [f"  #   {line}" for line in _most(problems)]
        gap = [""]
    if doubtful:
        lines += [*gap, f"  {DOUBTFUL}", *map(_doubtful, doubtful)]
        gap = [""]
    maybe = {name for _, names in doubtful for name in names}
    leftover = [name for name in leftover if name not in maybe]
    if leftover:
        lines += [*gap, f"  {UNMAPPED[findings.catalog is None]}"]
        lines += _leftover(findings, leftover, unsure)
    if unfed:
        lines += ["", UNFED]
        lines += [f"#   {line}" for line in _most([shown(key) for key in unfed])]
    return "\n".join(lines) + "\n"


def _dagster(options: DagsterOptions) -> list[str]:
    named = {
        "module_name": options.module_name,
        "python_file": options.python_file,
        "workspace": options.workspace,
        "working_directory": () if options.working_directory is None else (options.working_directory,),
    }
    if not any(named.values()):
        return [
            "# The Dagster project is what `dagster dev` finds in this folder. To name another one:",
            "# dagster:",
            "#   module_name: my_project.definitions  # or python_file, package_name, workspace",
            "#   python: .venv/bin/python             # by default it is looked for",
        ]
    lines = ["dagster:"]
    for key, values in named.items():
        scalars = [scalar(value) for value in values]
        if scalars:
            lines.append(f"  {key}: " + (scalars[0] if len(scalars) == 1 else f"[{', '.join(scalars)}]"))
    return lines


def _mapped(mapped: Mapping[str, Match]) -> list[str]:
    """Returns the files that need no rule, one line for each asset."""
    if not mapped:
        return []
    groups: dict[tuple[str, str], list[str]] = {}
    for name, match in mapped.items():
        assets = sorted({shown(target.asset) for target in match.targets})
        groups.setdefault((sample(assets, 3), kind_of(match)), []).append(name)
    rows = [(_files(names), *group) for group, names in groups.items()]
    wide, wider = (min(_MOST_LINES, max(len(row[i]) for row in rows)) for i in (0, 1))
    lines = [f"{files:<{wide}}  → {assets:<{wider}}  {kind}" for files, assets, kind in rows]
    return [
        *NO_RULE,
        *(f"#   {line}" for line in _most(lines)),
        "",
    ]


def _files(names: Sequence[str]) -> str:
    if len(names) < _MANY:
        return ", ".join(map(shown, names))
    folder = posixpath.commonpath([posixpath.dirname(name) for name in names])
    return f"{len(names)} files in {shown(folder + '/')}" if folder else sample([*map(shown, names)], 3)


def _leftover(findings: Findings, names: Sequence[str], unsure: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Returns commented rules to complete: one for each file, or for a folder with many files."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names:
        parts = built_in(name)
        groups.setdefault((parts["parent"], parts["suffix"]), []).append(name)
    entries: list[tuple[str, str]] = []
    for (parent, suffix), members in groups.items():
        todo = "asset: KEY" if suffix.lower() in _TABLES else "ignore: true"
        if len(members) >= _MANY and not any(name in unsure for name in members):
            path = as_pattern(f"{parent}/" if parent else "") + "*" + as_pattern(suffix)
            entries.append((scalar(_matching(path, findings)) + f"  # {len(members)} files", todo))
            continue
        for name in members:
            odd = "" if is_text(name) else f"  # {shown(name)}"
            entries.append(
                (
                    scalar(_matching(as_pattern(name), findings)) + odd,
                    _choice(unsure[name]) if name in unsure else todo,
                )
            )
    out = []
    for path, todo in entries[:_MOST_LINES]:
        out += [f"  # - path: {path}", f"  #   {todo}"]
    if len(entries) > _MOST_LINES:
        out.append(f"  # and {len(entries) - _MOST_LINES} more: `raw-trigger check` lists them all")
    return out


def _doubtful(one: tuple[Proposal, Sequence[str]]) -> str:
    proposal, names = one
    pairs = [f"path: {scalar(proposal.path)}", f"asset: {scalar(proposal.asset or '')}"]
    if len(proposal.partition) == 1 and proposal.partition[0][0] is None:
        pairs.append(f"partition: {scalar(proposal.partition[0][1])}")
    else:
        keys = (f"{scalar(name or '')}: {scalar(key)}" for name, key in proposal.partition)
        pairs.append(f"partition: {{{', '.join(keys)}}}")
    files = "1 file" if len(names) == 1 else f"{len(names)} files"
    return f"  # - {{{', '.join(pairs)}}}  # {files}; {proposal.doubt}"


def _choice(keys: Sequence[str]) -> str:
    first, *others = (scalar(as_template(key)) for key in keys)
    return f"asset: {first}" + (f"  # or {sample(others, 3)}" if others else "")


def rule_text(proposal: Proposal) -> str:
    """Returns the rule as an entry of ``assets:``, without a newline at its end."""
    lines = [f"  - path: {scalar(proposal.path)}"]
    keys = [scalar(key) for key in (proposal.asset, *proposal.also) if key is not None]
    lines.append("    ignore: true" if not keys else f"    asset: {keys[0]}")
    if len(keys) > 1:
        lines[-1] = f"    assets: [{', '.join(keys)}]"
    if len(proposal.partition) == 1 and proposal.partition[0][0] is None:
        lines.append(f"    partition: {scalar(proposal.partition[0][1])}")
    elif proposal.partition:
        lines.append("    partition:")
        lines += [f"      {scalar(name or '')}: {scalar(key)}" for name, key in proposal.partition]
    return "\n".join(lines)


def scalar(text: str) -> str:
    """Returns the text as a YAML scalar on one line, in double quotes unless it is plain beyond doubt."""
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*", text, re.ASCII) and yaml.safe_load(text) == text:
        return text
    return '"' + "".join(map(escaped, text)) + '"'


def _matching(path: str, findings: Findings) -> str:
    """Returns the pattern as the file can hold it, with ``?`` for every byte that is not UTF-8."""
    return unlike_root("".join("?" if is_odd(char) else char for char in path), findings)


def unlike_root(path: str, findings: Findings) -> str:
    """Returns the pattern in a form that the loader does not mistake for one that repeats the root."""
    roots = (findings.root, joined(findings.folder, findings.root))
    if findings.root == "." or path[0] in "{[*?" or not any(f"{path}/".startswith(f"{r}/") for r in roots):
        return path
    return f"[{path[0]}]{path[1:]}"


def _most(lines: Sequence[str]) -> list[str]:
    more = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], *([f"and {more} more"] if more > 0 else [])]
