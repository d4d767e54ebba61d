"""The page of each language, by which a stranger comes from an empty folder to a subscriber."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import Block, blocks_of
from tests.docs.stage import Stage
from tests.docs.test_runs import fits
from tests.harness.needs import IN_CI
from tests.harness.toolchain import checkout
from tests.interop.programs import PROGRAMS, PYTHON, Program

pytestmark = pytest.mark.slow

# Python's page needs no checkout: its programs run in the repository (tests/docs).
LANGUAGES = [it for it in PROGRAMS.values() if it is not PYTHON]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


def section(program: Program, heading: str) -> list[Block]:
    return [it for it in blocks_of(program.page) if it.heading == heading]


def listed(folder: Path) -> dict[str, bytes]:
    """The files in a folder that were not made there."""
    return {
        str(it.relative_to(folder)): it.read_bytes() for it in folder.rglob("*") if it.is_file()
    }


@pytest.mark.parametrize("program", LANGUAGES, ids=lambda it: it.heading)
def test_the_page_begins_with_all_that_the_build_needs(program: Program, stage: Stage) -> None:
    (block,) = section(program, "From an empty folder")
    code, said = stage.run(block.text)

    assert code == 0, said
    copied = listed(stage.clone / "my-client")
    # In such a folder the programs are built (tests/interop/programs.py).
    built_in = listed(checkout(program.folder, "examples"))
    sources = f"examples/{program.folder}/"
    assert {it for it in copied if it.startswith(sources)} <= built_in.keys()
    for name, text in copied.items():
        assert built_in.get(name, text) == text, name
    of_protos = {it for it in built_in if it.startswith(("protos/", "third_party/", "buf.yaml"))}
    assert of_protos <= copied.keys()


@pytest.mark.parametrize("program", LANGUAGES, ids=lambda it: it.heading)
def test_the_page_ends_with_a_subscriber_and_a_command(program: Program, stage: Stage) -> None:
    if (missing := program.missing()) and not IN_CI:
        pytest.skip(f"needs {', '.join(missing)}")
    stage.folder = program.build().here
    (stage.folder / "seen.jsonl").unlink(missing_ok=True)
    stage.start("telnyx-gateway serve --sandbox", until="to create another call")
    said = ""
    for block in section(program, "Run"):
        if block.language == "text":
            assert fits(block.text, said) == "", said
        else:
            code, said = stage.run(block.text)
            assert code == 0, f"{block.at}\n{said}"
