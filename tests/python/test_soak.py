"""A short soak; `python tests/support/soak.py` runs for as long as you like."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).parents[1] / "support" / "soak.py"


def test_ten_seconds_of_bad_weather() -> None:
    command = [sys.executable, str(SOAK), "--seconds", "10", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 wrong with seed 7" in done.stdout
    assert done.stderr == ""
