"""From what was found to the text of the file. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from raw_trigger.config.parsing import parse
from raw_trigger.errors import ConfigError
from raw_trigger.initialize.search import Search
from raw_trigger.initialize.text import compose, rule_text, scalar, unlike_root
from raw_trigger.initialize.values import Draft, Proposal, Survey, joined, problem_of, shown
from raw_trigger.mapping.rules import Match, RuleBook
from raw_trigger.model.changes import show
from raw_trigger.model.settings import Config

_MOST_RULES = 1000
"""Nobody reads more of them, and a pattern of one's own says it better."""


def draft(survey: Survey) -> Draft:
    """The file for what was found. Pure."""
    full = joined(survey.folder, survey.root)
    cut = 0 if full == "." else len(full) + 1
    names = [show(path)[cut:] for path in survey.files]
    if survey.catalog is None:
        return Draft(compose(survey, {}, (), names, {}, (), ()), leftover=tuple(names))
    config = Config(folder=survey.folder, roots=(full,))
    book = RuleBook(config, survey.catalog, survey.top)
    found = {name: book.match(path) for name, path in zip(names, survey.files, strict=True)}
    search = Search(survey.catalog, found)
    search.run()
    proposals, decided = _verified(survey, search.ordered(), dict(zip(names, survey.files, strict=True)))
    return _summed_up(survey, search, proposals, decided)


def _verified(
    survey: Survey, proposals: Sequence[Proposal], names: Mapping[str, bytes]
) -> tuple[tuple[Proposal, ...], dict[str, Match]]:
    """The proposals that the loader takes and that lead, in the file as it will be, to what there is.

    The second value is what the rules of that file decide about, by name.
    """
    assert survey.catalog is not None
    named = [replace(one, path=unlike_root(one.path, survey)) for one in proposals[:_MOST_RULES]]
    kept = [one for one in named if _parsed(survey, [one]) is not None]
    while True:
        config = _parsed(survey, kept)
        assert config is not None
        book = RuleBook(config, survey.catalog, survey.top)
        numbers = {rule.position.short: i for i, rule in enumerate(config.rules)}
        decided = {name: m for name, p in names.items() if (m := book.match(p)) and m.rule in numbers}
        used = {numbers[match.rule] for match in decided.values()}
        wrong = {numbers[m.rule] for m in decided.values() if problem_of(m, survey.catalog) is not None}
        if not wrong and len(used) == len(kept):
            return tuple(kept), decided
        kept = [one for i, one in enumerate(kept) if i in used and i not in wrong]


def _summed_up(
    survey: Survey, search: Search, proposals: Sequence[Proposal], decided: Mapping[str, Match]
) -> Draft:
    open_ = [name for name in search.needing if name not in decided]
    broken = {name: search.broken[name] for name in open_ if name in search.broken}
    problems = tuple(f"{shown(name)} → {problem}" for name, problem in broken.items())
    leftover = tuple(name for name in open_ if name not in broken)
    matches = [*search.settled.values(), *decided.values()]
    fed = {target.asset for match in matches for target in match.targets}
    assets = sorted(search.catalog.assets.items())
    unfed = tuple(key for key, asset in assets if not asset.parents and key not in fed)
    ignored = sum(match.ignore for match in decided.values())
    return Draft(
        compose(survey, search.settled, proposals, leftover, search.unsure, problems, unfed),
        found=len(search.settled),
        ruled=len(decided) - ignored,
        ignored=ignored,
        rules=sum(proposal.asset is not None for proposal in proposals),
        guesses=sum(proposal.guess for proposal in proposals),
        leftover=leftover,
        problems=problems,
        unfed=unfed,
    )


def _parsed(survey: Survey, proposals: Sequence[Proposal]) -> Config | None:
    text = "\n".join([f"root: {scalar(survey.root)}", "assets:", *map(rule_text, proposals), ""])
    try:
        return parse(text.encode(), survey.file)
    except (ConfigError, UnicodeEncodeError):
        return None
