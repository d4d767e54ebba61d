"""The two files of results: numbers for programs, tables for people, a section each."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from bench.figures import refuse_impossible

_HERE = Path(__file__).parent
NUMBERS_FILE = "results.json"
TABLES_FILE = "RESULTS.md"


@dataclass(frozen=True, slots=True)
class Section:
    """What one measurement, or a part of the bench in one go, found out.

    Raises ImpossibleFigureError for numbers that cannot be.
    """

    name: str
    numbers: dict[str, float]
    # In Markdown.
    table: str

    def __post_init__(self) -> None:
        refuse_impossible(self.numbers)


def write_results(results: Section, folder: Path = _HERE) -> None:
    """Put a section's results in the place of its earlier ones, and leave all others alone."""
    numbers_file, tables_file = folder / NUMBERS_FILE, folder / TABLES_FILE
    numbers: dict[str, float] = {}
    if numbers_file.exists():
        numbers = json.loads(numbers_file.read_text())
    numbers |= results.numbers
    _replace(numbers_file, json.dumps(numbers, indent=2, sort_keys=True) + "\n")
    tables = tables_file.read_text() if tables_file.exists() else "# Benchmark results\n"
    _replace(tables_file, _with_section(tables, results))


def _with_section(text: str, results: Section) -> str:
    begin, end = f"<!-- {results.name} -->", f"<!-- end of {results.name} -->"
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
