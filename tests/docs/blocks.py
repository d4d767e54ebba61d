"""The blocks of code in the documentation, and what is done with each."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
READMES = [ROOT / folder / "README.md" for folder in (".", "clients", "examples")]
PAGES = [*READMES, *sorted((ROOT / "docs").glob("*.md"))]

_BLOCK = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block: its language, the attributes behind that, and its text without indentation.

    `needs` says why commands are not run, `until` what they print when they are ready and go on,
    `fails` that they have to fail. A `text` that is a `drawing` is no output.
    """

    page: Path
    line: int
    language: str
    attributes: dict[str, str]
    text: str
    heading: str

    @property
    def at(self) -> str:
        """Where it is, for people."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page in their order."""
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        indent, info, body = found.groups()
        language, _, rest = info.partition(" ")
        words = (it.partition("=") for it in shlex.split(rest))
        headings = re.findall(r"^#+ (.+)$", text[: found.start()], re.MULTILINE)
        yield Block(
            page,
            text.count("\n", 0, found.start()) + 1,
            language,
            {name: value for name, _, value in words},
            "".join(it.removeprefix(indent) for it in body.splitlines(keepends=True)),
            headings[-1] if headings else "",
        )


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
