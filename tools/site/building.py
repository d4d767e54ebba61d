"""One build of the site."""

import io
import tempfile
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.console import strip_colors
from sphinx.util.docutils import docutils_namespace, patch_docutils

from tools.site.settings import INDEX, ROOT, settings

# So that the folder itself can be opened.
_FRONT = '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={0}">\n'


class SiteError(Exception):
    """The build has warnings, or failed: the text says where."""


def build(folder: Path) -> Path:
    """Build the site into a folder, and return its first page. Raises SiteError.

    Links between pages, to headings and to files of the repository are checked; nothing is asked
    of the network.
    """
    folder = folder.resolve()
    warnings = io.StringIO()
    with tempfile.TemporaryDirectory() as doctrees, patch_docutils(), docutils_namespace():
        app = Sphinx(
            ROOT,
            None,
            folder,
            doctrees,
            "html",
            confoverrides=settings(),
            status=None,
            warning=warnings,
            freshenv=True,
        )
        app.build(force_all=True)
    if said := strip_colors(warnings.getvalue()).strip():
        raise SiteError(said.replace(f"{ROOT}/", ""))
    first = folder / "index.html"
    first.write_text(_FRONT.format(f"{INDEX}.html"))
    return first
