"""The commands of `telnyx-gateway` that pages show exist, with the options that they are given."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from gateway.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# At the beginning, behind a folder or settings, or at the end of a pipe.
_COMMAND = r"\s*(?:.*\| |\S*/|(?:\S+=\S+ )+)?telnyx-gateway (.*)"


def commands_of(page: Path) -> Iterator[list[str]]:
    """Yield the words behind `telnyx-gateway` of each command in a page's blocks."""
    for block in re.findall(
        r"^ *```sh[^\n]*\n(.*?)^ *```$", page.read_text(), re.MULTILINE | re.DOTALL
    ):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.match(_COMMAND, line)
            if found:
                words = shlex.split(found[1], comments=True)
                # Up to what belongs to the shell.
                ends = (at for at, it in enumerate(words) if re.match(r"[|>&]|\d>|;", it))
                yield words[: next(ends, len(words))]


def judge(words: list[str]) -> None:
    """Parse a command as the command line does, without running it. Raises UsageError."""
    group: click.Command = main
    context = click.Context(main)
    while isinstance(group, click.Group):
        name, *words = words
        found = group.get_command(context, name)
        assert found is not None, f"there is no command {name}"
        group = found
        context = click.Context(found, context)
    group.make_parser(context).parse_args(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda it: it.name)
def test_each_command_of_a_page_exists_with_its_options(page: Path) -> None:
    for words in commands_of(page):
        judge(words)


def test_the_pages_have_commands() -> None:
    assert sum(len(list(commands_of(page))) for page in PAGES) >= 50


@pytest.mark.parametrize("words", [["call", "--nothing", "X"], ["health", "--readiness"]])
def test_what_does_not_exist_would_be_found(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        judge(words)
