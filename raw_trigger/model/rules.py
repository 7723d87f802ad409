"""Compares rules in force, as text: as ``RuleBook.describe`` gives them and the record keeps them."""

from __future__ import annotations

import json


def tells_catalog(text: str) -> bool:
    """Says whether :meth:`RuleBook.describe` told what follows from the catalog, too."""
    try:
        return bool(json.loads(text)["catalog"] is not None)
    except (ValueError, KeyError, TypeError):
        return True


def takes_over(text: str | None, before: str | None) -> bool:
    """Says whether rules are recorded in the place of others: they are others, and tell no less."""
    if text is None or text == before:
        return False
    return before is None or tells_catalog(text) or not tells_catalog(before)


def agree(one: str | None, other: str | None) -> bool:
    """Says whether these may be the same rules, as far as both were told."""
    if one is None or other is None or one == other:
        return True
    return not (tells_catalog(one) and tells_catalog(other)) and same_file(one, other)


def same_file(one: str, other: str) -> bool:
    """Says whether these are the same rules of the file, by any catalog."""
    try:
        then, now = json.loads(one), json.loads(other)
        return all(then[name] == now[name] for name in ("version", "roots", "rules"))
    except (ValueError, KeyError, TypeError):
        return False
