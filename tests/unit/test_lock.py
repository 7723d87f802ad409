"""The lock of an environment, after its last holder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from raw_trigger.lock import locked

HOLDER = """
import os, sys
from pathlib import Path
from raw_trigger.lock import locked
with locked(Path(sys.argv[1]), "local", "cli", print):
    {end}
"""


@pytest.mark.parametrize("end", ["os._exit(9)", "pass", "sys.exit(1)"])
def test_a_holder_that_is_gone_keeps_nobody_out(tmp_path: Path, end: str) -> None:
    subprocess.run([sys.executable, "-c", HOLDER.format(end=end), str(tmp_path)], check=False)
    waited: list[str] = []
    with locked(tmp_path, "local", "cli", waited.append):
        assert waited == []
