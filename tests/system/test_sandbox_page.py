"""The commands of `docs/sandbox.md`, run as they stand there."""

import http.client
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.harness.needs import with_tool
from tests.harness.ports import free_port
from tests.harness.readiness import until
from tests.harness.shell import Shell, blocks_of

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()


@pytest.fixture
def port() -> str:
    return free_port()


@pytest.fixture
def shell(tmp_path: Path, port: str) -> Iterator[Shell]:
    shell = Shell(tmp_path, GATEWAY_GRPC_ADDRESS=f"127.0.0.1:{port}")
    yield shell
    shell.close()


@with_tool("bash")
def test_a_scenario_is_played_recorded_and_replayed_by_the_commands_of_the_page(
    shell: Shell, port: str, tmp_path: Path
) -> None:
    serve, _, _, record_and_replay, drive = blocks_of(PAGE)
    record, replay = record_and_replay.splitlines()
    # What the command has as its default.
    record = record.replace(" tail ", f" tail --address 127.0.0.1:{port} ")
    feed = shell.folder / "feed.jsonl"

    shell.start(serve.replace("\n", " &\n"))
    until(lambda: "1/44" in log(tmp_path, 0))
    until(lambda: shell.run(record).returncode == 0 and bool(feed.read_text()))
    recorded = [json.loads(line)["id"] for line in feed.read_text().splitlines()]
    assert recorded

    found = re.search(r"simulated provider on http://([\d.:]+)/v2", log(tmp_path, 0))
    assert found
    start, ask = (requested(it, found[1]) for it in drive.splitlines())
    assert (start["name"], ask["name"], ask["state"]) == ("bad-day", "bad-day", "playing")

    other = "GATEWAY_GRPC_ADDRESS=127.0.0.1:0 GATEWAY_EVENT_LOG=sqlite:///other.db "
    shell.start(f"{other}{replay} &\n")
    until(lambda: f"1/{len(recorded)}  call.enqueued" in log(tmp_path, 1))


def requested(line: str, address: str) -> Any:
    """Send what a line has curl send, and return the answer: CI has no curl."""
    words = shlex.split(line)
    assert words.pop(0) == "curl"
    given = {it: words.pop(words.index(it) + 1) for it in ("-X", "-d") if it in words}
    (url,) = (it for it in words if it not in given)
    connection = http.client.HTTPConnection(address, timeout=20)
    try:
        connection.request(given.get("-X", "GET"), urlsplit(url).path, given.get("-d"))
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def log(folder: Path, number: int) -> str:
    return (folder / f"{number}.log").read_text()
