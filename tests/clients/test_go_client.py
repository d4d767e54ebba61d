"""The published service configs, loaded by a Go client of two gateways."""

import base64
import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conferencing.v1.conference_service_pb2 import PlayAudioRequest
from tests.harness.gateway import failure_of
from tests.harness.loop import LoopThread
from tests.harness.needs import GO, with_go
from tests.harness.pair import FOLDER, GET, HELD, QUEUE, Pair, draining, without_health
from tests.harness.provider import Answer
from tests.harness.readiness import serving, until

SOURCE = Path(__file__).parent / "go"
GET_QUEUE = "/conferencing.v1.QueueService/GetQueue"
PLAY_AUDIO = "/conferencing.v1.ConferenceService/PlayAudio"
END_CONFERENCE = "/conferencing.v1.ConferenceService/EndConference"
PLAY = PlayAudioRequest(conference_id="c", media_name="m")

pytestmark = with_go


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, built: half a minute the first time on a machine, then a second."""
    built = tmp_path_factory.mktemp("go") / "client"
    subprocess.run(
        [GO, "build", "-o", built, "."],
        cwd=SOURCE,
        env={**os.environ, "GOTOOLCHAIN": "local"},
        check=True,
        timeout=300,
    )
    return built


class Client:
    """A running client; what it calls is bytes."""

    def __init__(self, program: Path, config: Path, pair: Pair) -> None:
        addresses = [str(it.app.grpc_address) for it in pair.gateways]
        self._process = subprocess.Popen(
            [program, config, *addresses], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def call(self, method: str, request: Any) -> str:
        """Make a call; returns the name of its status."""
        return self._ask(f"{method} {_encoded(request)}")

    def hold(self) -> None:
        """Begin a call that is held."""
        assert self._ask(f"HOLD {END_CONFERENCE} {_encoded(HELD)}") == "held"

    def _ask(self, line: str) -> str:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def _encoded(request: Any) -> str:
    return base64.b64encode(request.SerializeToString()).decode()


Start = Callable[..., Client]


@pytest.fixture
def start(program: Path, pair: Pair, tmp_path: Path) -> Iterator[Start]:
    """Starts clients that are connected to both gateways."""
    clients: list[Client] = []

    def start(config: str, change: Callable[[dict[str, Any]], Any] = lambda config: None) -> Client:
        loaded = json.loads((FOLDER / config).read_text())
        change(loaded)
        file = tmp_path / f"{len(clients)}.json"
        file.write_text(json.dumps(loaded))
        clients.append(Client(program, file, pair))
        until(lambda: all(spread(pair, clients[-1], 4)))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


def spread(pair: Pair, client: Client, calls: int = 20) -> list[int]:
    """Make calls, which must all succeed, and return how many each provider has got."""
    assert {client.call(GET_QUEUE, GET) for _ in range(calls)} == {"OK"}
    return pair.taken()


def without_retries(config: dict[str, Any]) -> None:
    without_health(config)
    for entry in config["methodConfig"]:
        entry.pop("retryPolicy", None)


def test_what_meets_a_shutdown_is_retried_by_the_client_itself(
    pair: Pair, start: Start, loop: LoopThread
) -> None:
    client = start("commands.json", without_health)

    with draining(pair, client.hold, loop):
        assert spread(pair, client, 6) == [0, 6]
        plays = Counter(client.call(PLAY_AUDIO, PLAY) for _ in range(4))

    # What would be heard twice is not.
    assert plays["Unavailable"]


def test_the_first_attempt_was_refused_where_a_retry_succeeded(
    pair: Pair, start: Start, loop: LoopThread
) -> None:
    client = start("commands.json", without_retries)

    with draining(pair, client.hold, loop):
        ends = {client.call(GET_QUEUE, GET) for _ in range(6)}

    assert ends == {"OK", "Unavailable"}


def test_who_is_not_serving_gets_no_calls(pair: Pair, start: Start) -> None:
    client, unchecked = start("commands.json"), start("commands.json", without_health)
    first = pair.gateways[0]

    pair.providers[0].answer = Answer(401, {"errors": [{"code": "10009"}]})
    failure_of(first.queues.GetQueue, GET)
    until(lambda: not serving(first, "conferencing.v1.QueueService"))
    until(lambda: {client.call(GET_QUEUE, GET) for _ in range(4)} == {"OK"})
    pair.taken()

    assert spread(pair, client) == [0, 20]
    assert {unchecked.call(GET_QUEUE, GET) for _ in range(8)} == {"OK", "Internal"}
    pair.providers[0].answer = QUEUE
    first.queues.GetQueue(GET)
    pair.taken()
    until(lambda: all(spread(pair, client, 4)))
