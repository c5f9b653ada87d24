"""Seeds played in a process of their own, as on the command line."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SEEDS = 500
"""In each of the two tests that play many: a thousand are a minute of one core, more where others use it, too."""


def play(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
