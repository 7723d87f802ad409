"""The check of ``make lint`` that public docstrings begin with a verb in the third person."""

from __future__ import annotations

import pytest

from tests.docstrings import faults

FUNCTION = 'def plan():\n    """{}"""\n'


@pytest.mark.parametrize(
    "docstring",
    [
        "Returns the plan.",
        "Says whether anything is pending.",
        "\n    Records the outcome.\n\n    More.\n    ",
    ],
)
def test_a_verb_in_the_third_person_is_right(docstring: str) -> None:
    assert list(faults(FUNCTION.format(docstring), "planning.py")) == []


@pytest.mark.parametrize(
    ("first", "docstring"),
    [
        ("The", "The plan."),
        ("Whether", "Whether anything is pending."),
        ("Return", "Return the plan."),
        ("Names", "Names that assets have."),
        ("Targets of", "Targets of the plan."),
        ("Records of", "Records of what ran."),
        ("returns", "returns the plan."),
    ],
)
def test_anything_else_is_wrong(first: str, docstring: str) -> None:
    assert list(faults(FUNCTION.format(docstring), "planning.py")) == [
        f"raw_trigger/planning.py:1: the docstring of plan begins with {first!r}; "
        "begin it with a verb in the third person (tests/docstrings.py lists them)"
    ]


def test_classes_and_methods_count_and_private_ones_do_not() -> None:
    source = '''
class Plan:
    """A plan."""

    def targets(self):
        """The targets."""
        def inner():
            """The inner."""

    def _private(self):
        """The private."""

    def without(self): ...

class _Private:
    """The private."""

    def public(self):
        """The public."""
'''
    named = [fault.partition("docstring of ")[2].partition(" begins")[0] for fault in faults(source, "a.py")]
    assert named == ["Plan", "Plan.targets"]


def test_a_command_speaks_to_its_user() -> None:
    source = 'def diff():\n    """Show what changed."""\n'
    assert list(faults(source, "cli/diff.py")) == []
    assert len(list(faults(source, "repo/diff.py"))) == 1
