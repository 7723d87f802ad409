"""Turns the findings into the text of the file. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from raw_trigger.config.parsing import parse
from raw_trigger.errors import ConfigError
from raw_trigger.initialize.search import Search
from raw_trigger.initialize.text import compose, rule_text, scalar, unlike_root
from raw_trigger.initialize.values import Draft, Findings, Proposal, joined, problem_of, shown
from raw_trigger.mapping.junk import junk
from raw_trigger.mapping.partitions import PartitionKeys
from raw_trigger.mapping.rules import Match, RuleBook
from raw_trigger.model.changes import show
from raw_trigger.model.settings import Config

_MOST_RULES = 1000
"""Nobody reads more rules: the user will write a pattern."""


def draft(findings: Findings) -> Draft:
    """Returns the file for the findings. Pure."""
    full = joined(findings.folder, findings.root)
    cut = 0 if full == "." else len(full) + 1
    every = len(findings.files)
    files = tuple(path for path in findings.files if junk(show(path)[cut:]) is None)
    findings = replace(findings, files=files)
    names = [show(path)[cut:] for path in files]
    if findings.catalog is None:
        text = compose(findings, {}, (), (), names, {}, (), ())
        return Draft(text, ignored=every - len(files), leftover=tuple(names))
    config = Config(folder=findings.folder, roots=(full,))
    book = RuleBook(config, findings.catalog, findings.top)
    found = {name: book.match(path) for name, path in zip(names, findings.files, strict=True)}
    search = Search(findings.catalog, found, full)
    search.run()
    proposals, decided = _verified(findings, search.ordered(), dict(zip(names, findings.files, strict=True)))
    made = _summed_up(findings, search, proposals, decided)
    return replace(made, ignored=made.ignored + every - len(files))


def _verified(
    findings: Findings, proposals: Sequence[Proposal], names: Mapping[str, bytes]
) -> tuple[tuple[Proposal, ...], dict[str, Match]]:
    """Returns the proposals that lead to assets with code when all of them are in one file.

    The second value maps names to the matches of that file's rules.
    """
    assert findings.catalog is not None
    named = [replace(one, path=unlike_root(one.path, findings)) for one in proposals[:_MOST_RULES]]
    kept = [one for one in named if _parsed(findings, [one]) is not None]
    while True:
        config = _parsed(findings, kept)
        assert config is not None
        book = RuleBook(config, findings.catalog, findings.top)
        numbers = {rule.position.short: i for i, rule in enumerate(config.rules)}
        decided = {name: m for name, p in names.items() if (m := book.match(p)) and m.rule in numbers}
        used = {numbers[match.rule] for match in decided.values()}
        keys, there = PartitionKeys(), findings.catalog
        wrong = {numbers[m.rule] for m in decided.values() if problem_of(m, there, keys) is not None}
        if not wrong and len(used) == len(kept):
            return tuple(kept), decided
        kept = [one for i, one in enumerate(kept) if i in used and i not in wrong]


def _summed_up(
    findings: Findings, search: Search, proposals: Sequence[Proposal], decided: Mapping[str, Match]
) -> Draft:
    open_ = [name for name in search.needing if name not in decided]
    broken = {name: search.broken[name] for name in open_ if name in search.broken}
    problems = tuple(f"{shown(name)} → {problem}" for name, problem in broken.items())
    leftover = tuple(name for name in open_ if name not in broken)
    doubtful = [(replace(one, path=unlike_root(one.path, findings)), n) for one, n in search.doubtful()]
    matches = [*search.mapped.values(), *decided.values()]
    fed = {target.asset for match in matches for target in match.targets}
    assets = sorted(search.catalog.assets.items())
    unfed = tuple(key for key, asset in assets if not asset.parents and key not in fed)
    ignored = sum(match.ignore for match in decided.values())
    return Draft(
        compose(findings, search.mapped, proposals, doubtful, leftover, search.unsure, problems, unfed),
        found=len(search.mapped),
        ruled=len(decided) - ignored,
        ignored=ignored,
        rules=sum(proposal.asset is not None for proposal in proposals),
        guesses=sum(proposal.guess for proposal in proposals),
        leftover=leftover,
        problems=problems,
        unfed=unfed,
    )


def _parsed(findings: Findings, proposals: Sequence[Proposal]) -> Config | None:
    text = "\n".join([f"root: {scalar(findings.root)}", "assets:", *map(rule_text, proposals), ""])
    try:
        return parse(text.encode(), findings.file)
    except (ConfigError, UnicodeEncodeError):
        return None
