"""Fuzzes for some minutes: `python -m tests.fuzz [--minutes 10] [TARGET ...]`.

Atheris leads the inputs to code that none has reached before. What fails is written to
`tests/fuzz/corpus/`, where the tests run it from then on: fix the cause, and commit both.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tests.fuzz.targets import CORPUS, TARGETS

# Where inputs that reach something new are kept between runs.
FOUND = Path(".cache/fuzz/found")

# The longest input, in bytes, and how long one may take, in seconds.
INPUT_BYTES_MAX, INPUT_S_MAX = 4_096, 10


def fuzz(name: str, seconds: int) -> bool:
    """Fuzz one target in a process of its own; returns whether all held."""
    found, kept = FOUND / name, CORPUS / name
    found.mkdir(parents=True, exist_ok=True)
    (target,) = (it for it in TARGETS if it.name == name)
    for number, data in enumerate((*target.seeds, *target.kept)):
        (found / f"seed-{number}").write_bytes(data)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz.one", name, str(found)),
            *(f"-max_total_time={seconds}", f"-max_len={INPUT_BYTES_MAX}"),
            *(f"-timeout={INPUT_S_MAX}", "-verbosity=1", "-print_final_stats=1"),
            f"-artifact_prefix={kept}{os.sep}",
        ],
        check=False,
    )
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--minutes", type=float, default=10, help="how long for each target")
    given = parser.parse_args()
    names = given.targets or [it.name for it in TARGETS]
    failed = []
    for name in names:
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
        print(f"-- {name}", flush=True)
        if not fuzz(name, round(given.minutes * 60)):
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else f"{len(names)} targets held")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
