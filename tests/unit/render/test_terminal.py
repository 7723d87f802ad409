"""What a person sees at a terminal while a plan is carried out and after."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from raw_trigger.cli.session import tell_stderr
from raw_trigger.render.terminal import fitted
from tests.terminal import at_terminal

SCRIPT = """
import sys
from pathlib import Path
from raw_trigger.cli.session import tell_stderr, text_renderer
from raw_trigger.model.outcome import Outcome, TargetOutcome
from raw_trigger.model.plan import Plan, Target

ERROR = '''ValueError: lines/a\N{EM DASH}b.csv line 3: no number
  File "/work/shop/raw.py", line 7, in lines'''
text = text_renderer(Path("/work/shop"), stderr="learn" in sys.argv)
progress = text.progress(0)
with progress as finished:
    tell_stderr("a word of somebody else")
    progress.expect(3)
    finished(TargetOutcome(Target("raw/lines"), "failed", None, 0.31, ERROR))
    tell_stderr("waits for the run that is at work on 'local'")
    print("printed")
    finished(TargetOutcome(Target("raw/orders", "2026-01-31"), "success", None, 1.0))
    finished(TargetOutcome(Target("child"), "skipped", None, None, "upstream raw/lines failed"))
text.say("  ", ("D", "red"), " data/1_raw/\u6570\u636e\u6570\u636e\u6570\u636e.csv", " -> ", "raw/" + "x" * 30)
text.say(("what it printed: ", "dim"), text.near("/work/shop/.git/raw-trigger/1.log"))
"""
WIDE = """\
raw-trigger: a word of somebody else
  ✘ raw/lines  0.3 s
      ValueError: lines/a—b.csv line 3: no number
        File "raw.py", line 7, in lines
raw-trigger: waits for the run that is at work on 'local'
printed
  ✔ raw/orders|2026-01-31  1.0 s
  – child
      upstream raw/lines failed
  D data/1_raw/数据数据数据.csv -> raw/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
what it printed: .git/raw-trigger/1.log
"""
NARROW = """\
raw-trigger: a word of somebody else
  ✘ raw/lines  0.3 s
      ValueError: lines/a—b.csv line 3:
        no number
        File "raw.py", line 7, in lines
raw-trigger: waits for the run that is
  at work on 'local'
printed
  ✔ raw/orders|2026-01-31  1.0 s
  – child
      upstream raw/lines failed
  D data/1_raw/数据数据数据.csv ->
    raw/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
what it printed: .git/raw-trigger/1.log
"""
BAR = "\N{BOX DRAWINGS HEAVY HORIZONTAL}".encode()


@pytest.mark.parametrize(("columns", "screen"), [(80, WIDE), (40, NARROW)])
@pytest.mark.parametrize("where", ["run", "learn"])
def test_a_bar_moves_and_leaves_nothing_behind(columns: int, screen: str, where: str, tmp_path: Path) -> None:
    seen = at_terminal([sys.executable, "-c", SCRIPT, where], columns=columns, cwd=tmp_path)
    assert seen.lines == screen.splitlines()
    assert [text in seen.raw for text in (BAR, b"starting Dagster", b"at work", b"2/3")] == [True] * 4


@pytest.mark.parametrize("name", ["NO_COLOR", "TERM"])
def test_a_terminal_may_be_without_colour_or_dumb(name: str, tmp_path: Path) -> None:
    """One that cannot move its cursor breaks the lines itself."""
    seen = at_terminal([sys.executable, "-c", SCRIPT], columns=80, cwd=tmp_path, env={name: "dumb"})
    assert seen.lines == WIDE.splitlines()
    assert (BAR in seen.raw, b"\x1b[31m" in seen.raw) == (name == "NO_COLOR", False)


@pytest.mark.parametrize("name", ["FORCE_COLOR", "CI", "TTY_COMPATIBLE"])
def test_a_file_has_neither_a_bar_nor_broken_lines(name: str, tmp_path: Path) -> None:
    """Whatever asks for colour, as GitHub's runners are told to."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env={"COLUMNS": "40", "PYTHONIOENCODING": "utf-8", name: "1"},
        capture_output=True,
        check=True,
    )
    assert BAR not in done.stdout + done.stderr
    assert done.stderr.decode().splitlines() == [
        "raw-trigger: a word of somebody else",
        "raw-trigger: waits for the run that is at work on 'local'",
    ]
    assert b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" in done.stdout.splitlines()[-2]
    assert len(done.stdout.splitlines()) == 9


WORDS = st.text(st.sampled_from("ab\N{CJK UNIFIED IDEOGRAPH-6570}/-\t "), max_size=200)


@given(line=WORDS, columns=st.integers(1, 60))
def test_what_is_broken_has_all_its_words_and_fits(line: str, columns: int) -> None:
    screen = Screen()
    console = Console(file=screen, width=columns, force_terminal=True, force_interactive=True)
    pieces = [piece.plain for piece in fitted(Text(line), console)]
    assert "".join("".join(pieces).split()) == "".join(line.split())
    assert all(cell_len(piece) <= max(columns, 20) for piece in pieces)
    indents = {len(piece) - len(piece.lstrip(" ")) for piece in pieces[1:]}
    assert len(indents) <= 1


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_name_in_a_line_cannot_make_it_another(capsys: pytest.CaptureFixture[str]) -> None:
    tell_stderr("warning: a\x1b]0;b\nraw-trigger: all is well.csv changed")
    assert capsys.readouterr().err == (
        "raw-trigger: warning: a\\x1b]0;b\\nraw-trigger: all is well.csv changed\n"
    )
