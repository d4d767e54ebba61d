"""What the sandbox may know of."""

from __future__ import annotations

import ast
from pathlib import Path

import gateway.sandbox

MODULES = sorted(Path(gateway.sandbox.__file__).parent.rglob("*.py"))


def imports(module: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found.update(one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or ".")
    return found


def test_it_knows_nothing_of_the_gateway() -> None:
    own = {name for one in MODULES for name in imports(one) if name.split(".")[0] == "gateway"}

    assert own
    assert {name for name in own if not name.startswith("gateway.sandbox")} == set()


def test_each_outside_library_is_the_business_of_one_module() -> None:
    for library, module in (("httpx", "posting.py"), ("nacl", "signing.py")):
        users = [
            one.name
            for one in MODULES
            if any(name.split(".")[0] == library for name in imports(one))
        ]
        assert users == [module]
