"""Every command and program of the pages, run as it stands there, and what it prints."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import BLOCKS, PAGES, Block, blocks_of
from tests.docs.excerpts import is_excerpt
from tests.docs.stage import Stage
from tests.docs.treatment import RUN_ELSEWHERE, is_settings, treated_in
from tests.harness.needs import with_tool

pytestmark = pytest.mark.slow

# Pages that start a gateway themselves.
SERVING = {"connect.md", "console.md", "start.md"}

RUNNABLE = ("sh", "python")


def runs_here(block: Block) -> bool:
    return (
        block.language in RUNNABLE
        and "needs" not in block.attributes
        and treated_in(RUN_ELSEWHERE, block) is None
        and not is_settings(block)
        and not is_excerpt(block)
    )


def is_output(block: Block) -> bool:
    return (
        block.language == "text"
        and "drawing" not in block.attributes
        and treated_in(RUN_ELSEWHERE, block) is None
    )


RUN = [page for page in PAGES if any(map(runs_here, blocks_of(page)))]


def fits(shown: str, said: str) -> str:
    """Return what a page shows and a program did not say; `…` stands for anything."""
    lines = iter(said.splitlines())
    for line in shown.splitlines():
        if line == "…":
            continue
        pattern = ".*".join(re.escape(it) for it in line.split("…"))
        if not any(re.fullmatch(pattern, it.rstrip()) for it in lines):
            return line
    return ""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


@with_tool("bash")
@pytest.mark.parametrize("page", RUN, ids=lambda it: it.name)
def test_the_commands_of_a_page_do_what_it_says(page: Path, stage: Stage) -> None:
    if page.name not in SERVING:
        stage.start("telnyx-gateway serve --sandbox", until="to create another call")
    said = ""
    for block in blocks_of(page):
        if is_output(block):
            assert fits(stage.own(block.text), said) == "", f"{block.at}\n{said}"
        if not runs_here(block):
            continue
        text = stage.python(block.text) if block.language == "python" else block.text
        if "until" in block.attributes:
            said = stage.start(text, block.attributes["until"])
            continue
        code, said = stage.run(text)
        assert (code != 0) == ("fails" in block.attributes), f"{block.at}\n{said}"


@pytest.mark.parametrize(
    ("shown", "said", "missing"),
    [
        ("a … c\n", "a b c\n", ""),
        ("a\n…\nc\n", "a\nb\nc\n", ""),
        ("a\nc\n", "c\na\n", "c"),
        ("a\n", "ab\n", "a"),
        ("a.\n", "ab\n", "a."),
    ],
)
def test_what_a_program_does_not_say_would_be_found(shown: str, said: str, missing: str) -> None:
    assert fits(shown, said) == missing


def test_there_is_much_to_run() -> None:
    assert len([it for it in BLOCKS if runs_here(it)]) >= 25
