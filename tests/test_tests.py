"""Rules for the tests themselves."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
MODULES = sorted(TESTS.rglob("*.py"))

# A module that needs more holds more than one concept.
LINES_MAX = 400

# Private names of the gateway that tests use, where there is no seam. The number only becomes
# smaller: a test that needs one more wants a seam. The oracle breaks the code on purpose.
PRIVATE_NAMES_MAX = 22
BREAKS_ON_PURPOSE = "oracle"

# Public names of the standard library that look private.
PUBLIC = {"_replace"}


def private_names(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                pass
            case ast.Attribute(attr=name) if _is_private(name) and name not in PUBLIC:
                yield name
            case ast.ImportFrom(module=str(source), names=names) if source.startswith("gateway"):
                yield from (it.name for it in names if _is_private(it.name))


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_modules_of_tests_stay_small() -> None:
    large = [it for it in MODULES if len(it.read_text().splitlines()) > LINES_MAX]

    assert large == []


def test_tests_use_ever_fewer_private_names() -> None:
    used = [
        f"{module.relative_to(TESTS)}: {name}"
        for module in MODULES
        if BREAKS_ON_PURPOSE not in module.parts
        for name in private_names(module)
    ]

    assert len(used) <= PRIVATE_NAMES_MAX, "\n".join(used)
