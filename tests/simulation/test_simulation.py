"""Seeds of the simulation: some are always the same, as many are new in each run, and one is played twice."""

import secrets
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SEEDS = 200


def play(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_known_seeds() -> None:
    played = play("--seeds", str(SEEDS))
    assert played.returncode == 0, played.stdout + played.stderr


def test_seeds_that_no_run_had_before() -> None:
    first = 1_000_000 + secrets.randbelow(1_000_000_000)
    print(f"from seed {first}")
    played = play("--from", str(first), "--seeds", str(SEEDS))
    assert played.returncode == 0, played.stdout + played.stderr


def test_a_seed_is_played_the_same_again_whatever_was_played_before_it() -> None:
    after_others, alone = play("--from", "7", "--seeds", "3", "--digests"), play("--seed", "9", "--digests")
    assert after_others.stdout.splitlines()[2] == alone.stdout.splitlines()[0]
    assert alone.stdout.startswith("9 ")
