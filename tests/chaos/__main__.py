"""The long form by hand: `python -m tests.chaos --seed 1 --minutes 30`.

One schedule after the other, with the next seed each, until the time is over; at least one.
"""

import argparse
import sys
from time import monotonic

from tests.chaos.author import schedule
from tests.chaos.episode import LONG, SHORT, play
from tests.harness.loop import LoopThread

# Faults of one schedule in the long form.
_STEPS = 12


def main() -> None:
    parser = argparse.ArgumentParser(description="Break things around gateways that are replicas.")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: 30)")
    parser.add_argument("--seed", type=int, default=1, help="of the first schedule")
    parser.add_argument("--steps", type=int, default=_STEPS, help="faults of one schedule")
    parser.add_argument("--short", action="store_true", help="with as little traffic as in tests")
    chosen = parser.parse_args()
    ends, seed, wrong = monotonic() + 60 * chosen.minutes, chosen.seed, 0
    loop = LoopThread()
    while True:
        made = schedule(seed, chosen.steps)
        outcome = play(loop, made, SHORT if chosen.short else LONG)
        print(outcome, flush=True)
        if outcome.wrong:
            print(made, *outcome.wrong[:20], sep="\n", flush=True)
            wrong += 1
        seed += 1
        if monotonic() >= ends:
            break
    loop.close()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
