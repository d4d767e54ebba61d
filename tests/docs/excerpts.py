"""Blocks that show a part of a file: of which one, and whether it still says so."""

import re
import textwrap
from functools import cache

from tests.docs.blocks import ROOT, Block

# Where the files are of which pages show parts, by language. CI compiles or runs all of them.
_FILES = {
    "go": ("examples/go/*.go",),
    "java": ("examples/java/src/**/*.java",),
    "ts": ("examples/node/src/*.ts",),
    "rust": ("examples/rust/src/**/*.rs",),
    "python": ("examples/python/*.py", "examples/recipes/*.py", "examples/attendance.py"),
    "proto": ("protos/conferencing/v1/*.proto",),
}

# A line that stands for others that are left out.
_LEFT_OUT = re.compile(r"^ *(?://|#) …\n", re.MULTILINE)


@cache
def _texts(language: str) -> tuple[str, ...]:
    paths = sorted(path for it in _FILES.get(language, ()) for path in ROOT.glob(it))
    return tuple(_flush(path.read_text()) for path in paths)


def _flush(text: str) -> str:
    """Return a text without indentation: where a part stands does not matter."""
    return "\n".join(line.strip() for line in textwrap.dedent(text).splitlines())


def is_excerpt(block: Block) -> bool:
    """Whether all pieces of a block stand in one file, each as it is there and in this order."""
    pieces = [_flush(it).strip("\n") for it in _LEFT_OUT.split(block.text) if it.strip()]
    return any(_has(text, pieces) for text in _texts(block.language))


def _has(text: str, pieces: list[str]) -> bool:
    at = 0
    for piece in pieces:
        at = text.find(f"\n{piece}\n", at)
        if at < 0:
            return False
        at += len(piece)
    return True
