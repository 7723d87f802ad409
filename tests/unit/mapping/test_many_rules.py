"""Of many rules the first that matches decides, and most are never asked about a path."""

from __future__ import annotations

import random

import pytest

from raw_trigger.config.parsing import parse
from raw_trigger.mapping.patterns import Pattern, compile_pattern
from raw_trigger.mapping.rules import RuleBook

PIECES = ("a", "b", "ab", "/", "*", "?", "**/", "{x}", "{y:[ab]+}", "[ab]", ".csv", "~$a")


def book(*patterns: str) -> RuleBook:
    rules = "".join(f"  - {{path: '{pattern}', asset: 'n{i}'}}\n" for i, pattern in enumerate(patterns))
    return RuleBook(parse(f"root: raw\nassets:\n{rules}".encode(), "raw-trigger.yaml"), None, "/top")


def assets(rules: RuleBook, path: str) -> list[str]:
    found = rules.match(f"raw/{path}".encode())
    return [] if found is None else [target.asset for target in found.targets]


@pytest.mark.parametrize("seed", range(40))
def test_the_first_that_matches_decides(seed: int) -> None:
    made = random.Random(seed)
    patterns = []
    while len(patterns) < 12:
        pieces = made.choices(PIECES, k=made.randint(1, 4))
        text = "".join(dict.fromkeys(pieces)).strip("/").replace("//", "/")
        patterns += [text] if text else []
    together, alone = book(*patterns), [book(pattern) for pattern in patterns]
    for _ in range(60):
        path = "".join(made.choices(("a", "b", "/", ".csv", "ab", "~$a"), k=made.randint(1, 5))).strip("/")
        for pattern in map(compile_pattern, patterns):  # what is seen at once agrees with the engines
            assert (pattern.match(path) is None) == (pattern._captures(path) is None), (pattern, path)
        first = next((i for i, one in enumerate(alone) if assets(one, path)), None)
        assert assets(together, path) == ([] if first is None else [f"n{first}"]), (patterns, path)


def test_others_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    match = Pattern.match

    def counted(pattern: Pattern, path: str) -> dict[str, str] | None:
        asked.append(pattern.text)
        return match(pattern, path)

    rules = book(*(f"source{i:03}/{{a}}_{{b}}.csv" for i in range(300)))
    monkeypatch.setattr(Pattern, "match", counted)
    for i in range(300):
        assert assets(rules, f"source{i:03}/x_y.csv") == [f"n{i}"]
    assert len(asked) == 300
