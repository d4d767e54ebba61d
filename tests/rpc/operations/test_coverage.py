"""That all operations are tried."""

import re
from pathlib import Path

from gateway.schema.services import COMMAND_SERVICES


def test_these_files_call_every_operation() -> None:
    text = "".join(it.read_text() for it in Path(__file__).parent.glob("test_*.py"))
    names = [method.name for service in COMMAND_SERVICES for method in service.methods]

    assert names
    assert [name for name in names if not re.search(rf'\b{name}\(|"{name}"', text)] == []
