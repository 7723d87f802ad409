"""What an error, and what a program has printed, looks like at a terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raw_trigger.cli.errors import sentence
from raw_trigger.config import load_config
from raw_trigger.errors import ConfigError, ProjectError, RawTriggerError, UsageError
from raw_trigger.project.execution import load_error
from raw_trigger.project.interpreter import Interpreter
from raw_trigger.project.messages import parse_error
from raw_trigger.render.markdown import escape


@given(st.text(), st.text())
def test_what_a_name_holds_makes_no_further_line(message: str, hint: str) -> None:
    said = sentence(UsageError(message, hint)).split("\n")
    assert len(said) == 2
    assert all(line.replace("\t", "").isprintable() for line in said)


def test_lines_of_their_own() -> None:
    assert sentence(ConfigError("a:1: one\na:2: two", listed=True)) == "raw-trigger: a:1: one\na:2: two"
    assert sentence(ProjectError("no\nPython", "name it", "one\n\x1btwo\n")) == (
        "raw-trigger: no\\nPython\n  | one\n  | \\x1btwo\n  name it"
    )


def test_each_problem_of_a_file_is_one_line_whatever_its_folder_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "a\nb\x1b[31m"
    folder.mkdir()
    file = folder / "raw-trigger.yaml"
    file.write_text("rots: a\nhoks: {}\n")
    with pytest.raises(RawTriggerError) as caught:
        load_config(file, tmp_path)
    shown = "a\\nb\\x1b[31m/raw-trigger.yaml"
    assert [line.partition(": unknown")[0] for line in sentence(caught.value).split("\n")] == [
        f"raw-trigger: {shown}:1:1",
        f"{shown}:2:1",
    ]


COLOURED = [
    ("\x1b[0m\x1b[31mDatabase Error\x1b[0m in model orders", "Database Error in model orders"),
    ("\x1b]8;;https://example.com\x1b\\docs\x1b]8;;\x07", "docs"),
    ("\x1b[38;5;1m\x1b[1m3 of 5 FAIL 1\x1b[K", "3 of 5 FAIL 1"),
    ("\x1b(Bplain\x1b7", "plain"),
    ("[31m is no colour", "[31m is no colour"),
]


@pytest.mark.parametrize(("said", "shown"), COLOURED)
def test_what_dbt_says_has_no_colours(said: str, shown: str) -> None:
    error = parse_error({"message": said, "cls": "Failure", "traceback": f"{said}\n"})
    assert error is not None
    assert (error.message, error.traceback) == (shown, f"{shown}\n")
    python = Interpreter(("python",), "configured")
    failed = load_error({"message": f"{said}\nmore", "cls": "E", "traceback": said}, python, Path("log"))
    assert (failed.message, failed.detail) == (f"the Dagster project does not load: {shown}", shown)


@given(st.text())
def test_markdown_has_nothing_that_a_terminal_would_obey(text: str) -> None:
    assert escape(text).isprintable()


def test_an_interrupt_before_the_command_began() -> None:
    script = """
import sys
class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "raw_trigger.cli.app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupts())
from raw_trigger.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "raw-trigger: interrupted\n")
