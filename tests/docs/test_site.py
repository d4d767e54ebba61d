"""The site of docs/: it is built without a warning, and a dead link is one."""

import re
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from tests.docs.blocks import PAGES, ROOT
from tools.site import building
from tools.site.building import SiteError, build
from tools.site.contents import sections
from tools.site.settings import INDEX

pytestmark = [
    pytest.mark.slow,
    # What MyST uses of Sphinx is between the two.
    pytest.mark.filterwarnings("ignore:'myst_parser"),
]

INDEX_PAGE = ROOT / f"{INDEX}.md"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("site")).parent


def links_of(page: Path) -> list[str]:
    return [unescape(it) for it in re.findall(r'<a [^>]*href="([^"]+)"', page.read_text())]


def names_of(page: Path) -> set[str]:
    return set(re.findall(r' (?:id|name)="([^"]+)"', page.read_text()))


def test_every_link_of_the_built_site_leads_to_a_page_and_a_place_on_it(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    names = {it: names_of(it) for it in pages}
    dead = []
    for page in pages:
        for link in links_of(page):
            file, anchor = urldefrag(link)
            if file.startswith(("https://", "http://", "mailto:")):
                continue
            target = (page.parent / unquote(file)).resolve() if file else page
            known = names.get(target, set())
            if not target.is_file() or (anchor and known and unquote(anchor) not in known):
                dead.append(f"{page.relative_to(site)}: {link}")

    assert dead == []
    assert len(pages) > 40


def test_the_site_has_each_page_and_its_index_leads_to_it(site: Path) -> None:
    listed = {
        (INDEX_PAGE.parent / file).resolve()
        for _, files in sections(INDEX_PAGE.read_text())
        for file in files.values()
    }

    pages = {*PAGES} - {*(ROOT / "docs" / "reference").iterdir()}
    assert pages - {INDEX_PAGE} <= listed
    for page in PAGES:
        assert (site / page.relative_to(ROOT)).with_suffix(".html").is_file()


def test_the_first_page_leads_to_the_index(site: Path) -> None:
    assert f"url={INDEX}.html" in (site / "index.html").read_text()


def test_a_file_of_the_repository_that_is_linked_can_be_read_there(site: Path) -> None:
    page = (site / "source" / "examples" / "go" / "follow.go.html").read_text()

    assert "func (f *follower) stream" in re.sub(r"<[^>]+>", "", page)
    assert "../source/examples/go/follow.go.html" in links_of(site / "docs" / "go.html")


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loads = (
        r'<(?:script|img|iframe)[^>]* src="([^"]+)"|<link[^>]* rel="stylesheet"[^>]* href="([^"]+)"'
    )
    for page in site.rglob("*.html"):
        found = [a or b for a, b in re.findall(loads, page.read_text())]
        assert [it for it in found if "//" in it] == [], page


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# Title\n\n[gone](gone.md)\n", "gone.md"),
        ("# Title\n\n[gone](errors.md#no-such-heading)\n", "no-such-heading"),
        ("# Title\n\n[gone](../examples/gone.py)\n", "gone.py"),
        ("# Title\n\nNobody leads here.\n", "toctree"),
    ],
    ids=["a page", "a heading", "a file", "an orphan"],
)
def test_what_is_wrong_with_a_page_stops_the_build(
    text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a site of three pages: the index, one that is right, and the one that is not."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("# Index\n\n## All\n\n* [Errors](errors.md)\n")
    if "Nobody" not in text:
        with (docs / "index.md").open("a") as index:
            index.write("* [One](one.md)\n")
    (docs / "errors.md").write_text("# Errors\n")
    (docs / "one.md").write_text(text)
    monkeypatch.setattr(building, "ROOT", tmp_path)

    with pytest.raises(SiteError, match=re.escape(says)):
        build(tmp_path / "out")
