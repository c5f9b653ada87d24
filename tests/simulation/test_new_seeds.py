"""Seeds of the simulation that no run had before; one that fails is named, with the command that plays it."""

import secrets

from tests.simulation.playing import NEW_SEEDS, play


def test_seeds_that_no_run_had_before() -> None:
    first = 1_000_000 + secrets.randbelow(1_000_000_000)
    print(f"from seed {first}")
    played = play("--from", str(first), "--seeds", str(NEW_SEEDS))
    assert played.returncode == 0, played.stdout + played.stderr
