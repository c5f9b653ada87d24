"""Seeds of the simulation that are always the same, and one that is played twice."""

from tests.simulation.playing import KNOWN_SEEDS, play


def test_known_seeds() -> None:
    played = play("--seeds", str(KNOWN_SEEDS))
    assert played.returncode == 0, played.stdout + played.stderr


def test_a_seed_is_played_the_same_again_whatever_was_played_before_it() -> None:
    after_others, alone = play("--from", "7", "--seeds", "3", "--digests"), play("--seed", "9", "--digests")
    assert after_others.stdout.splitlines()[2] == alone.stdout.splitlines()[0]
    assert alone.stdout.startswith("9 ")
