"""`python -m tests.simulation`: many seeds, or one of them step by step."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time

HASHING = "PYTHONHASHSEED"


def main() -> int:
    """The exit status: 1 where an invariant did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--trace", action="store_true", help="print each step")
    parser.add_argument("--logs", action="store_true", help="print what the services log")
    parser.add_argument("--on", action="store_true", help="go on after a failure")
    parser.add_argument("--digests", action="store_true", help="print each seed's digest")
    parser.add_argument("--note", action="store_true", help="note the statements' texts as those that are modelled")
    given = parser.parse_args()
    if os.environ.get(HASHING) != "0":
        # The order of sets of text is part of what happens.
        os.execve(
            sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]], os.environ | {HASHING: "0"}
        )
    from tests.simulation.postgres.statements import notes
    from tests.simulation.run import quick, run

    if given.note:
        notes.asked = set()
    seeds = range(given.first, given.first + given.seeds) if given.seed is None else [given.seed]
    began, failed, counted, steps = time.perf_counter(), [], 0, 0
    gc.collect()
    gc.freeze()
    gc.disable()
    with quick():
        for number, seed in enumerate(seeds, 1):
            outcome = run(seed, show=given.trace, logs=given.logs)
            counted, steps = counted + outcome.counted, steps + outcome.steps
            if given.digests:
                print(f"{seed} {outcome.digest}")
            if number % 25 == 0:
                gc.collect()
            if outcome.failure:
                failed.append(seed)
                print(f"seed {seed}: {outcome.plan}\n{outcome.failure}")
                print(f"    python -m tests.simulation --seed {seed} --trace", flush=True)
                if not given.on:
                    print("\n".join(outcome.lines[-60:]))
                    break
    if given.note:
        notes.write()
    seconds = time.perf_counter() - began
    print(f"{number} seeds, {counted} hits and events counted, {steps} steps in {seconds:.1f} s")
    print(f"failed: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
