"""Reads JSON and YAML of strangers, with bounds.

A pull request may bring any document, and a job that ran its code another. Half a kilobyte of aliases can
stand for 10⁹ values, a few kilobytes of brackets for more levels than Python's stack has, and a name that
occurs twice for whatever its reader likes. Each of these raises a ValueError whose text says what is wrong.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import yaml

MOST_JSON = 128 * 1024 * 1024
"""The most bytes of a JSON document: a plan of 200,000 files needs less."""

MOST_TEXT = 4 * 1024 * 1024
"""The most bytes of any other document: a ``dvc.lock`` of 20,000 files needs less."""

_MOST_VALUES = 1_000_000
_DEEPEST = 100
_DIGITS = 100


def read_bytes(path: Path, most: int = MOST_JSON) -> bytes:
    """Returns the content of a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is larger than ``most``, or no regular file (``/dev/zero``).
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is no regular file")
    with path.open("rb") as file:
        data = file.read(most + 1)
    _sized(data, most)
    return data


def load_json(text: str | bytes) -> Any:
    """Returns the document.

    Raises:
        ValueError: it is not JSON, too large or too deep, or has NaN, an infinity or a name twice.
    """
    _sized(text, MOST_JSON)
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_text(path: Path) -> str:
    """Returns the text of a small file; empty where it is none that can be read.

    What is no UTF-8 in it is replaced.
    """
    try:
        return read_bytes(path, MOST_TEXT).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""


def load_yaml(text: bytes) -> Any:
    """Returns the document, made of what ``yaml.safe_load`` makes.

    Raises:
        ValueError: it is not YAML, too large with its aliases written out, too deep, or has a name twice.
    """
    return read_yaml(text)[0]


def read_yaml(text: bytes) -> tuple[Any, yaml.Node | None]:
    """Returns the document, as :func:`load_yaml` does, and the nodes that say where its parts stand.

    Raises:
        ValueError: as :func:`load_yaml`.
    """
    # Imported here: the import takes longer than all the rest of a plan.
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    _sized(text, MOST_TEXT)
    try:
        _shallow(text, loader)
        root = yaml.compose(text, Loader=loader)
        if root is None:
            return None, None
        _measured(root, {})
        made = loader("")
        try:
            return made.construct_document(root), root
        finally:
            made.dispose()
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except (OverflowError, RecursionError, TypeError, AttributeError, LookupError) as error:
        raise ValueError(f"it holds a value that is none: {error}") from error


def _sized(data: str | bytes, most: int) -> None:
    if len(data) > most:
        raise ValueError(f"it is larger than {most >> 20} MB")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the name {twice[:80]!r} is there twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _shallow(text: bytes, loader: Any) -> None:
    """Counts the levels without recursion: composing nodes recurses, and would exhaust the stack."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise ValueError(f"it is nested in more than {_DEEPEST} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _measured(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Returns how many values a node stands for, with each alias written out."""
    import yaml

    known = sizes.get(id(node))
    if known == 0:
        raise ValueError("it contains itself by an alias")
    if known is not None:
        return known
    sizes[id(node)] = 0
    size = 1
    if isinstance(node, yaml.ScalarNode):
        if node.tag.endswith((":int", ":float")) and len(node.value) > _DIGITS:
            raise ValueError(f"it has a number of more than {_DIGITS} digits")
    elif isinstance(node, yaml.MappingNode):
        names = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in names:
                    mark, problem = key.start_mark, f"the name {key.value[:80]!r} is there twice"
                    place = yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
                    raise ValueError(f"{problem}, again on line {mark.line + 1}") from place
                names.add((key.tag, key.value))
            size += _measured(key, sizes) + _measured(value, sizes)
    else:
        size += sum(_measured(item, sizes) for item in node.value)
    if size > _MOST_VALUES:
        raise ValueError(f"it stands for more than {_MOST_VALUES} values, each alias written out")
    sizes[id(node)] = size
    return size
