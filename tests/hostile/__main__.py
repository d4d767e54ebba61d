"""The long form by hand: `python -m tests.hostile --minutes 30`."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.hostile.soak import soak, stage_of_a_soak


def main() -> None:
    parser = argparse.ArgumentParser(description="Attack a gateway, beside honest traffic.")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: 30)")
    parser.add_argument("--seed", type=int, default=1, help="of the order of the attacks")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, stage_of_a_soak(Path(folder)) as stage:
        report = soak(stage, chosen.minutes, chosen.seed)
    print(report.text())
    sys.exit(1 if report.faults else 0)


if __name__ == "__main__":
    main()
