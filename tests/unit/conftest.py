"""Short ways to say rules, assets and changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from raw_trigger.mapping.rules import RuleBook
from raw_trigger.model.assets import Asset, Catalog, Partitions
from raw_trigger.model.changes import Base, Change, ChangeSet, Desired, Entry
from raw_trigger.model.plan import Disk, Options, Plan, Target
from raw_trigger.model.settings import Config, Position, Rule
from raw_trigger.planning.files import NoFiles
from raw_trigger.planning.plan import make_plan

DAILY = Partitions("time", format="%Y-%m-%d", start="2026-01-01", cron="0 0 * * *", timezone="UTC")
REGIONS = Partitions("static", keys=("eu", "us"))


def rule(path: str, *assets: str, line: int = 1, **more: Any) -> Rule:
    at = Position("raw-trigger.yaml", line, 5)
    fields = {"ignore": not assets, "partition": None, "on_delete": None, **more}
    return Rule(path, assets, position=at, asset_positions=(at,) * len(assets), **fields)


def catalog(**assets: Mapping[str, Any]) -> Catalog:
    """Assets by key, ``__`` standing for ``/``."""
    made = {}
    for name, fields in assets.items():
        key = name.replace("__", "/")
        made[key] = Asset(key=key, parts=tuple(key.split("/")), **{"location": "here", **fields})
    return Catalog(made)


def book(*rules: Rule, assets: Catalog | None = None, roots: tuple[str, ...] = ("data/1_raw",)) -> RuleBook:
    at = [Position("raw-trigger.yaml", i, 5) for i in range(1, len(rules) + 1)]
    numbered = tuple(
        replace(r, position=one, asset_positions=(one,) * len(r.assets))
        for one, r in zip(at, rules, strict=True)
    )
    return RuleBook(Config(roots=roots, rules=numbered), assets, "/top")


def changes(*words: str) -> ChangeSet:
    """``+a.csv`` is added, ``~a.csv`` modified, ``-a.csv`` deleted; paths below data/1_raw."""
    made = []
    for word in words:
        path = f"data/1_raw/{word[1:]}".encode()
        old, new = Entry("100644", "0" + word[1:]), Entry("100644", "1" + word[1:])
        made.append(Change(path, None if word[0] == "+" else old, None if word[0] == "-" else new))
    return ChangeSet(
        Base("revision", "A", "a", ""),
        Desired("revision", "B", "b"),
        tuple(sorted(made, key=lambda c: c.path)),
    )


class Feeding(NoFiles):
    """Says of a target whether a file feeds it."""

    def __init__(self, feeds: Callable[[Target], bool]) -> None:
        self._feeds = feeds

    def feeds(self, target: Target) -> bool:
        return self._feeds(target)


def plan(rules: RuleBook, *words: str, disk: Disk | None = None, feeds: bool = False, **options: Any) -> Plan:
    made = Options(environment="local", **options)
    return make_plan(changes(*words), rules, made, disk=disk, files=Feeding(lambda _: feeds))


def summary(plan: Plan) -> list[str]:
    """The targets, one word each: batch:action:target."""
    shown = sorted(plan.targets, key=lambda t: (t.batch, t.target.text))
    return [f"{t.batch}:{t.action}:{t.target.text}" for t in shown]
