"""The two files of results: numbers for programs, tables for people. Each part owns its share."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
NUMBERS_FILE = _HERE / "results.json"
TABLES_FILE = _HERE / "RESULTS.md"


@dataclass(frozen=True, slots=True)
class PartResults:
    """What a part of the bench found out."""

    part: str
    numbers: dict[str, float]
    # A section in Markdown.
    table: str


def write_results(results: PartResults) -> None:
    """Put a part's results in the place of its earlier ones, and leave those of others alone."""
    numbers: dict[str, float] = {}
    if NUMBERS_FILE.exists():
        numbers = json.loads(NUMBERS_FILE.read_text())
    numbers |= results.numbers
    _replace(NUMBERS_FILE, json.dumps(numbers, indent=2, sort_keys=True) + "\n")
    tables = TABLES_FILE.read_text() if TABLES_FILE.exists() else "# Benchmark results\n"
    _replace(TABLES_FILE, _with_section(tables, results))


def _with_section(text: str, results: PartResults) -> str:
    begin, end = f"<!-- {results.part} -->", f"<!-- end of {results.part} -->"
    section = f"{begin}\n{results.table.strip()}\n{end}"
    old = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if old.search(text):
        return old.sub(lambda _: section, text)
    return f"{text.rstrip()}\n\n{section}\n"


def _replace(path: Path, text: str) -> None:
    # At once or not at all: a run that is cut off leaves the old file.
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)
