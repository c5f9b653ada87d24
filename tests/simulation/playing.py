"""Seeds played in a process of their own, as on the command line."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEW_SEEDS = 850
KNOWN_SEEDS = 150
"""What the two tests play. New seeds find a fault that comes with a change as well as known ones do, which are there so
that one run can be compared with another. A thousand are a minute of one core, more where others use it, too.
"""


def play(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
