"""The commands about tokens in `docs/security.md`, run as they stand there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.needs import with_tool
from tests.harness.ports import free_port
from tests.harness.readiness import until
from tests.harness.shell import Shell, blocks_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SECTION = "### A token, from the first day to the last\n"


@pytest.fixture
def port() -> str:
    return free_port()


@pytest.fixture
def shell(tmp_path: Path, port: str) -> Iterator[Shell]:
    shell = Shell(tmp_path, GATEWAY_GRPC_ADDRESS=f"127.0.0.1:{port}")
    yield shell
    shell.close()


@with_tool("bash")
def test_a_token_is_made_rotated_and_revoked_by_the_commands_of_the_page(
    shell: Shell, port: str
) -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    section = re.split(r"^##", page.split(SECTION)[1], flags=re.MULTILINE)[0]
    function, begin, serve, call, rotate, revoke = blocks_of(section)
    # What the command has as its default.
    first = call.replace(" call ", f" call --address 127.0.0.1:{port} ")
    second = first.replace("first.token", "second.token")

    def done(block: str) -> str:
        ended = shell.run(function + block)
        return "" if ended.returncode == 0 else ended.stderr

    assert done(begin) == ""
    shell.start(serve)
    until(lambda: done(first) == "")
    assert "CREDENTIALS_MISSING" in done(first.replace("--token-file first.token", ""))

    assert done(rotate) == ""
    until(lambda: done(second) == "")
    assert done(first) == ""

    assert done(revoke) == ""
    until(lambda: "(CALLER_UNKNOWN)" in done(first))
    assert done(second) == ""
