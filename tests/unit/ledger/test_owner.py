"""Whether the process of a launch is still there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from raw_trigger.ledger import owner_alive, this_process
from raw_trigger.ledger.owner import _started_by_ps


def test_this_process_is_there() -> None:
    assert owner_alive(this_process()) is True


def test_a_process_that_ended_is_gone_even_before_it_is_waited_for() -> None:
    code = "from raw_trigger.ledger import this_process; print(repr(this_process())); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    line = child.stdout.readline()
    started = line.partition("started='")[2].partition("'")[0]
    owner = replace(this_process(), pid=child.pid, started=started)
    assert repr(owner) == line.strip()
    assert owner_alive(owner) is True
    child.kill()
    child.stdout.read()
    while owner_alive(owner):
        pass
    assert child.returncode is None
    assert owner_alive(owner) is False
    child.communicate()
    assert owner_alive(owner) is False


def test_another_process_with_the_same_number_is_not_it() -> None:
    assert owner_alive(replace(this_process(), started="long ago")) is False


def test_of_another_machine_or_container_nothing_is_known() -> None:
    assert owner_alive(replace(this_process(), host="elsewhere")) is None
    assert owner_alive(replace(this_process(), namespace="pid:[1]")) is None
    assert owner_alive(replace(this_process(), started="")) is None


@pytest.mark.skipif(shutil.which("ps") is None, reason="there is no ps here")
def test_where_there_is_no_proc_ps_is_asked() -> None:
    """As on macOS."""
    own = _started_by_ps(os.getpid())
    assert own
    assert own == _started_by_ps(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", ""])
    while _started_by_ps(child.pid):
        pass
    assert _started_by_ps(child.pid) == ""
    child.wait()
    assert _started_by_ps(child.pid) is None
