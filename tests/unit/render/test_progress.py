"""What is shown while a plan is carried out."""

from __future__ import annotations

import pytest

from raw_trigger.model.outcome import TargetOutcome
from raw_trigger.model.plan import Target
from raw_trigger.render.progress import Progress


def tell(done: TargetOutcome) -> None:
    print(done.target.text)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_for_terminals_and_the_lines_stay_where_they_belong(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1" if terminal else "0")
    with Progress(tell, 3) as finished:
        for key in "ab":
            finished(TargetOutcome(Target(key), "success"))
    out, err = capsys.readouterr()
    assert out == "a\nb\n"
    assert [text in err for text in ("starting Dagster", "0/3", "1/3", "2/3")] == [terminal] * 4
    assert terminal or err == ""


def test_nothing_is_shown_for_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with Progress(tell, 0):
        pass
    assert capsys.readouterr() == ("", "")
