"""The real gateway with one of `breaks`: `python -m tests.chaos.broken_gateway serve`."""

import os

from gateway.cli import main
from tests.chaos.breaks import CASES

BREAK = "CHAOS_BREAK"

if __name__ == "__main__":
    with CASES[os.environ[BREAK]].broken.applied():
        main()
