"""The threat model in `docs/security.md`: each claim names tests, and these exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "security.md").read_text().split("\n## Threat model\n")[1].split("\n## ")[0]

# Of whom there has to be something, and what they are called there.
ATTACKERS = (
    "The internet",
    "A neighbour in the mesh",
    "A caller with a credential",
    "The provider",
    "A proxy",
    "A user of the host",
    "The supply chain",
)
PARTS = dict(re.findall(r"^\*\*(.+?)\*\*(.+?)(?=^\*\*|\Z)", TEXT, re.MULTILINE | re.DOTALL))
ROWS = {
    (who, cells[0]): cells
    for who, part in PARTS.items()
    for cells in (
        [it.strip() for it in line.strip("|").split("|")]
        for line in part.splitlines()
        if line.startswith("| ") and not line.startswith(("| tries", "| ---"))
    )
}


def defined_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {it.name for it in tree.body if isinstance(it, ast.FunctionDef)}


def test_everybody_is_there_with_what_is_stopped_and_what_is_not() -> None:
    assert tuple(PARTS) == ATTACKERS
    for who, part in PARTS.items():
        assert any(it == who for it, _ in ROWS), who
        assert re.search(r"^Not stopped: \S", part, re.MULTILINE), who


@pytest.mark.parametrize("row", ROWS, ids=": ".join)
def test_each_claim_is_shown_by_tests_that_exist(row: tuple[str, str]) -> None:
    _, stopped_by, shown_by = ROWS[row]
    named = re.findall(r"`(tests/\S+?\.py)::(test_\w+)`", shown_by)

    assert stopped_by
    assert named
    # Nothing else stands there, which might be taken for a test.
    assert re.sub(r"`tests/\S+?\.py::test_\w+`", "", shown_by).strip() == ""
    for path, name in named:
        assert name in defined_in(path), f"{path}::{name}"
