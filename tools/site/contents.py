"""The table of contents: the sections of `docs/index.md`, and what each of them links to.

A forge shows the page as it is. For the site, each list of links becomes a section of the sidebar,
so that what is there is said once.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from sphinx.application import Sphinx

from tools.site.settings import INDEX, REFERENCE

_HEADING = re.compile(r"^## (.+)$")
_ENTRY = re.compile(r"^\* \[([^]]+)\]\(([^)#]+)\)")


def sections(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each heading of the page with the files that its items begin with, by their titles."""
    heading, files = "", dict[str, str]()
    for line in text.splitlines():
        if found := _HEADING.match(line):
            if files:
                yield heading, files
            heading, files = found[1], {}
        elif found := _ENTRY.match(line):
            files[found[1]] = found[2]
    if files:
        yield heading, files


# The pages of the reference, which are made.
_PARTS = f"```{{toctree}}\n:hidden:\n:glob:\n\n/{REFERENCE}/*\n```\n"


def _tree(heading: str, files: dict[str, str]) -> str:
    pages = [f"{title} </{_document(it)}>" for title, it in files.items()]
    return "\n".join(("```{toctree}", ":hidden:", f":caption: {heading}", "", *pages, "```", ""))


def _document(file: str) -> PurePosixPath:
    """Return the document that a link of the index means, from the root of the repository."""
    found = PurePosixPath(INDEX).parent / file
    parts = list[str]()
    for it in found.with_suffix("").parts:
        if it == "..":
            parts.pop()
        else:
            parts.append(it)
    return PurePosixPath(*parts)


def _add_trees(app: Sphinx, document: str, content: list[str]) -> None:
    if document == INDEX:
        trees = "\n".join(_tree(*it) for it in sections(content[0]))
        content[0] = f"{content[0]}\n\n{trees}"
    elif document == REFERENCE:
        content[0] = f"{content[0]}\n\n{_PARTS}"


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in a build, as Sphinx asks for it."""
    app.connect("source-read", _add_trees)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
