"""Make everything that is published of a release: `python -m tools.release DIRECTORY`."""

import sys
from pathlib import Path

from tools.release.making import ReleaseError, make


def main() -> int:
    """Print the files that were made; returns 1 if they cannot be."""
    try:
        print(*make(Path(), Path(sys.argv[1])), sep="\n")
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
