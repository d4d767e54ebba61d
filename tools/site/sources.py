"""Files of the repository that pages link to: each has a page of the site, with its text."""

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import download_reference
from sphinx.application import Sphinx
from sphinx.util.osutil import relative_uri

from tools.site.settings import ROOT

_FOLDER = "source"

# Before Sphinx collects what is to be offered as a download.
_EARLY = 100

# What Pygments cannot tell by the name of a file.
_LANGUAGES = {
    ".conf": "text",
    ".go": "go",
    ".java": "java",
    ".js": "js",
    ".json": "json",
    ".proto": "proto",
    ".py": "python",
    ".rs": "rust",
    ".sh": "sh",
    ".toml": "toml",
    ".ts": "ts",
    ".xml": "xml",
    ".yaml": "yaml",
}


def _link(app: Sphinx, doctree: nodes.document) -> None:
    """Have links to files lead to their pages, and keep in mind which ones there are."""
    here = app.env.docname
    for node in list(doctree.findall(download_reference)):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(here), node["reftarget"]))
        _linked(app).add(path)
        uri = relative_uri(f"{here}.html", f"{_FOLDER}/{path}.html")
        node.replace_self(nodes.reference("", "", *node.children, refuri=uri, internal=True))


def _linked(app: Sphinx) -> set[str]:
    found = getattr(app.env, "linked_sources", None)
    if found is None:
        found = set[str]()
        app.env.linked_sources = found  # type: ignore[attr-defined]
    return found


def _pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    builder: Any = app.builder
    for path in sorted(_linked(app)):
        file = ROOT / path
        language = _LANGUAGES.get(Path(path).suffix, "text")
        body = builder.highlighter.highlight_block(file.read_text(), language)
        context = {"title": path, "body": f"<h1>{path}</h1>{body}", "parents": []}
        yield f"{_FOLDER}/{path}", context, "page.html"


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in a build, as Sphinx asks for it."""
    app.connect("doctree-read", _link, priority=_EARLY)
    app.connect("html-collect-pages", _pages)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
