"""Each block of code in the documentation: what it is in, and how it is checked."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from gateway.callers.file import read_callers
from gateway.config import load_settings
from tests.docs.blocks import BLOCKS, ROOT, Block
from tests.docs.excerpts import is_excerpt
from tests.docs.test_runs import runs_here
from tests.docs.treatment import CHECKED_ELSEWHERE, NEEDS, RUN_ELSEWHERE, is_settings, treated_in
from tests.harness.toolchain import checkout
from tests.protos.test_clients import BUF

# How many blocks of commands are not run. Whoever wants one more has to say so here.
NOT_RUN = {"account": 6, "ci": 1, "cluster": 4, "hours": 1, "network": 1}

# Blocks that are parts of files, of which CI compiles or runs each.
PARTS = ("go", "java", "ts", "rust", "proto")

LANGUAGES = {*PARTS, "js", "python", "sh", "text", "toml", "yaml"}

ATTRIBUTES = {"sh": {"needs", "until", "fails"}, "python": {"until"}, "text": {"drawing"}}

# What is needed beside the settings that a page shows.
KEYS = {"TELNYX_API_KEY": "KEY0123456789", "TELNYX_PUBLIC_KEY": "q" * 43 + "="}

CALLER = """
[callers.wallboard]
role = "reader"
identities = [{ dns = "wallboard.example" }]
"""


def of(*languages: str) -> list[Block]:
    return [it for it in BLOCKS if it.language in languages]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda it: it.at)
def test_a_block_says_what_it_is_in(block: Block) -> None:
    assert block.language in LANGUAGES
    assert block.attributes.keys() <= ATTRIBUTES.get(block.language, set())


@pytest.mark.parametrize("block", of("sh", "python"), ids=lambda it: it.at)
def test_commands_and_programs_run_or_say_why_not(block: Block) -> None:
    ways = [
        runs_here(block),
        treated_in(RUN_ELSEWHERE, block) is not None,
        block.attributes.get("needs") in NEEDS,
        is_settings(block),
        is_excerpt(block),
    ]
    assert ways.count(True) == 1, ways


def test_no_more_commands_are_left_out_than_before() -> None:
    assert Counter(it.attributes["needs"] for it in BLOCKS if "needs" in it.attributes) == NOT_RUN
    assert NOT_RUN.keys() <= NEEDS.keys()


@pytest.mark.parametrize("where", [*RUN_ELSEWHERE.items(), *CHECKED_ELSEWHERE.items()])
def test_what_is_treated_elsewhere_is_treated_there(
    where: tuple[tuple[str, str], str],
) -> None:
    (page, heading), test = where
    text = (ROOT / page).read_text()

    assert (ROOT / test).is_file()
    assert not heading or f"# {heading}\n" in text
    assert any(treated_in({(page, heading): test}, it) for it in BLOCKS)


@pytest.mark.parametrize("block", of(*PARTS), ids=lambda it: it.at)
def test_a_part_of_a_file_is_still_what_it_was(block: Block) -> None:
    assert is_excerpt(block), block.text


def test_a_part_that_is_none_would_be_found() -> None:
    (block,) = (it for it in of("go") if "ids[i] = event.Id" in it.text)
    changed = Block(**{**vars(block), "text": block.text.replace("event.Id", "event.ID")})
    rest = Block(**{**vars(block), "text": "\n".join(reversed(block.text.splitlines()))})

    assert not is_excerpt(changed)
    assert not is_excerpt(rest)


@pytest.mark.parametrize("block", [*filter(is_settings, BLOCKS)], ids=lambda it: it.at)
def test_settings_are_such_that_a_gateway_takes_them(block: Block) -> None:
    shown = dict(line.split("=", 1) for line in block.text.splitlines())

    load_settings({**KEYS, **shown})


@pytest.mark.parametrize("block", of("toml"), ids=lambda it: it.at)
def test_a_callers_file_is_one_that_a_gateway_takes(block: Block) -> None:
    if treated_in(CHECKED_ELSEWHERE, block):
        return
    # A page may show a part of one.
    is_whole = "identities = " in block.text
    read_callers((block.text if is_whole else CALLER + block.text).encode())


@pytest.mark.slow
@pytest.mark.parametrize("block", of("yaml"), ids=lambda it: it.at)
def test_what_is_for_buf_is_taken_by_it(block: Block, tmp_path: Path) -> None:
    if treated_in(CHECKED_ELSEWHERE, block):
        return
    template = f"version: v2\n{block.text}plugins:\n  - protoc_builtin: java\n    out: gen\n"
    (tmp_path / "buf.gen.yaml").write_text(template)
    done = subprocess.run(
        [BUF, "generate", "--template", tmp_path / "buf.gen.yaml", "-o", tmp_path, "protos"],
        cwd=checkout("buf"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", of("js"), ids=lambda it: it.at)
def test_what_is_for_node_or_a_browser_runs_in_its_own_test(block: Block) -> None:
    assert treated_in(CHECKED_ELSEWHERE, block)
