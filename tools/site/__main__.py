"""Builds the site: `python -m tools.site FOLDER`. A warning, such as a dead link, is an error."""

import sys
from pathlib import Path

from tools.site.building import SiteError, build

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tools.site FOLDER")
    try:
        print(build(Path(sys.argv[1])))
    except SiteError as error:
        sys.exit(f"the site is not built:\n{error}")
