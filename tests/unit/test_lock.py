"""The lock of an environment: what its last holder leaves behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from raw_trigger.lock import left_behind, locked

HOLDER = """
import os, sys
from pathlib import Path
from raw_trigger.lock import locked
with locked(Path(sys.argv[1]), "local", "cli", print):
    {end}
"""


@pytest.mark.parametrize(("end", "left"), [("os._exit(9)", True), ("pass", False), ("sys.exit(1)", False)])
def test_whether_the_last_holder_let_go(tmp_path: Path, end: str, left: bool) -> None:
    """Only one that was killed, or ended like that, is told of, and only until the next one lets go."""
    assert not left_behind(tmp_path, "local")
    subprocess.run([sys.executable, "-c", HOLDER.format(end=end), str(tmp_path)], check=False)
    assert left_behind(tmp_path, "local") is left
    with locked(tmp_path, "local", "cli", print):
        assert not left_behind(tmp_path, "local")
    assert not left_behind(tmp_path, "local")
