"""Compare the protos with those of the last release: `python -m tools.breaking`.

With `--baseline` write the protos as they are into the file that stands for the last release as
long as there is none.
"""

import sys
from pathlib import Path

from tools.breaking.comparing import BASELINE, breaks, build, earlier


def main() -> int:
    """Print what would break clients; returns 1 if anything would."""
    root = Path()
    if sys.argv[1:] == ["--baseline"]:
        build(root, root / BASELINE)
        return 0
    with earlier(root) as before:
        found = breaks(root, before)
        print(*found, sep="\n", end="\n" if found else "")
        if found:
            print(
                f"The protos would break clients of {before.name}. docs/compatibility.md says what"
                " may change, and how.",
                file=sys.stderr,
            )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
