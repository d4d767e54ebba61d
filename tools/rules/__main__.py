"""Write alert rules as a PrometheusRule: `python -m tools.rules RULES MANIFEST`."""

import sys
from pathlib import Path

from tools.rules.manifest import manifest_of


def main() -> int:
    """Write the manifest."""
    rules, manifest = map(Path, sys.argv[1:])
    manifest.write_text(manifest_of(rules))
    return 0


if __name__ == "__main__":
    sys.exit(main())
