"""How the site is built: the settings that Sphinx would read from a `conf.py`."""

from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

INDEX = "docs/index"
REFERENCE = "docs/reference"

# Only these: a repository has more Markdown than documentation (environments, caches, clones).
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "docs/*.md",
    "docs/reference/*.md",
    "examples/README.md",
    "clients/README.md",
    "bench/RESULTS.md",
)
_FOLDERS = {it.partition("/")[0] for it in PAGES if "/" in it}


def settings() -> dict[str, Any]:
    """Return Sphinx's settings. Its source folder is the repository.

    So each link to a file of it is the same on the site, on a forge, and in an editor.
    """
    others = [it.name for it in ROOT.iterdir() if it.is_dir() and it.name not in _FOLDERS]
    return {
        "project": "telnyx-grpc-gateway",
        "author": "",
        "copyright": "",
        "root_doc": INDEX,
        "include_patterns": list(PAGES),
        # Nothing is looked for in these, which may hold a hundred thousand files.
        "exclude_patterns": [*others, "**/node_modules", "**/target"],
        "extensions": ["myst_parser", "tools.site.contents", "tools.site.sources"],
        # The headings that a link may name, as forges name them.
        "myst_heading_anchors": 4,
        # Tests look at each block of code; Pygments does not know all of Java.
        "suppress_warnings": ["misc.highlighting_failure"],
        "html_theme": "furo",
        "html_static_path": [str(Path(__file__).parent / "static")],
        "html_css_files": ["site.css"],
        "html_title": "Telnyx gRPC gateway",
        "html_show_sphinx": False,
        "html_show_copyright": False,
        "html_copy_source": False,
        "html_show_sourcelink": False,
        "pygments_style": "friendly",
        # Text is shown as it is written: `--option` keeps its two hyphens.
        "smartquotes": False,
    }
