"""What a record says under edited rules: of what a path newly feeds, nobody knows what it reflects. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from raw_trigger.mapping.rules import Match, RuleBook
from raw_trigger.model.changes import Entry
from raw_trigger.model.plan import Target
from raw_trigger.model.record import EVERY, UNKNOWN, Record, Reflected
from raw_trigger.planning.lineage import Lineage


class RecordedFiles(Protocol):
    """Knows the files of a record, and what their rows feed."""

    def every(self) -> Mapping[bytes, Entry]:
        """Returns all files."""

    def at(self, paths: Sequence[bytes]) -> Mapping[bytes, Entry]:
        """Returns the files at these paths."""

    def fed(
        self, rules: RuleBook, matches: Mapping[bytes, Match], files: Mapping[bytes, Entry]
    ) -> Mapping[bytes, Sequence[Target]]:
        """Returns what these files feed, as their rows tell where rules ask for that.

        If they cannot be read, it is the assets without a partition.
        """


def record_under(record: Record, rules: RuleBook, lineage: Lineage, recorded: RecordedFiles) -> Record:
    """Returns the record as these rules read it: a target that a path did not feed before has not seen it.

    Args:
        lineage: As far as the configuration goes downstream, whatever was asked for this time.
    """
    if rules.catalog is None and record.rules is not None and rules.same_file(record.rules):
        return record
    today = rules.describe()
    if record.rules is not None and record.rules != today:
        before = RuleBook.described(record.rules)
        files = recorded.every()
        newly = rules.newly_mapped(before, files)
        record = record.under(None, _made_from(recorded.fed(rules, newly, files), lineage))
        record = record.under(None, _newly_reached(before, rules, files, lineage, recorded))
        edited = rules.edited(before, {*files, *record.doubtful})
        # What is no longer there may be in what they reflect.
        record = record.forgetting({path: record.kept.get(path, {}) for path in edited})
        # Should a rule give it back one day, it may be gone by then.
        record = record.forgetting(dict.fromkeys(rules.taken_away(before, files), (EVERY,)))
    record = _with_rows(record, rules, lineage, recorded)
    return record if rules.catalog is None else record.under(today, {})


def _made_from(fed: Mapping[bytes, Iterable[Target]], lineage: Lineage) -> dict[bytes, list[str]]:
    """What may be made from these targets, by file."""
    return {
        path: [one.text for target in targets for one in lineage.made_from(target)]
        for path, targets in fed.items()
    }


def _newly_reached(
    before: RuleBook,
    rules: RuleBook,
    files: Mapping[bytes, Entry],
    lineage: Lineage,
    recorded: RecordedFiles,
) -> dict[bytes, list[str]]:
    """What is made downstream of the files only since `downstream:` or the graph was edited."""
    reached = rules.newly_reached(before, files)
    matches = {path: match for path in reached if (match := rules.match(path)) is not None}
    made = _made_from(recorded.fed(rules, matches, files), lineage)
    return {
        path: [name for name in names if name.partition("|")[0] in reached[path]]
        for path, names in made.items()
    }


def _with_rows(record: Record, rules: RuleBook, lineage: Lineage, recorded: RecordedFiles) -> Record:
    """The record with the partitions of tables that could not be read when a rule newly fed them."""
    found = {} if rules.catalog is None else record.kept
    places = [path for path, reflected in found.items() if _may_be_unread(path, reflected, rules)]
    if not places:
        return record
    files = recorded.at(places)
    unread: dict[bytes, Match] = {}
    for path in files:
        match = rules.match(path)
        targets = () if match is None or not match.by_row else match.targets
        newly = tuple(target for target in targets if target.text in record.kept[path])
        if match is not None and newly:
            unread[path] = replace(match, targets=newly)
    fed = recorded.fed(rules, unread, files)
    known = {path: targets for path, targets in fed.items() if not set(targets) & set(unread[path].targets)}
    record = record.under(None, _made_from(known, lineage))
    exceptions = dict(record.kept)
    for path in known:
        told = {target.text for target in unread[path].targets}
        exceptions[path] = {name: oid for name, oid in exceptions[path].items() if name not in told}
    return replace(record, kept=exceptions)


def _may_be_unread(path: bytes, reflected: Reflected, rules: RuleBook) -> bool:
    """Whether something is newly fed from the path by rows, of which it is not known which they are."""
    match = rules.match(path)
    if match is not None:
        return match.by_row and any(target.text in reflected for target in match.targets)
    return rules.looks_inside_any and UNKNOWN in reflected.values()
