"""The programs of each language: what a gateway does rarely, and what they do then."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from conferencing.v1.event_service_pb2 import (
    DRAIN_REASON_SHUTDOWN,
    GAP_POLICY_CONTINUE,
    GAP_REASON_CURSOR_EXPIRED,
    POSITION_EARLIEST,
    Drain,
    Gap,
)
from tests.harness.certificates import Authority
from tests.harness.readiness import until
from tests.interop.commands import speak
from tests.interop.cuts import kept
from tests.interop.programs import Built
from tests.interop.scripted import Refusal, Script, ScriptedGateway, Silence, response

pytestmark = pytest.mark.slow

Unavailable = grpc.StatusCode.UNAVAILABLE

# For a program to do what it is to do, on a machine that is busy with something else.
PATIENCE_S = 60

# After how long without a word a program subscribes again: longer than any of them needs to start
# and connect.
SILENCE_S = "4"


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def gateway(script: Script) -> Iterator[ScriptedGateway]:
    with ScriptedGateway(script) as gateway:
        yield gateway


def test_a_command_has_a_deadline_and_is_retried_with_the_same_id(
    program: Built, script: Script, gateway: ScriptedGateway
) -> None:
    script.commands = [Refusal(Unavailable), Refusal(Unavailable), None]

    ended = speak(program, gateway.address, "c1", "hello")

    assert ended.code == 0, ended.text
    assert len(script.sent) == 3
    (command_id,) = {it.command_id for it in script.sent}
    assert f"spoken: command_id {command_id}, effects after cursor c" in ended.text
    assert all(0 < it.left_s <= 10 for it in script.sent)


def test_all_of_an_error_is_told(program: Built, script: Script, gateway: ScriptedGateway) -> None:
    field = BadRequest.FieldViolation(field="payload", description="is too long")
    metadata = {"outcome": "not_sent", "command_id": "id-1", "method": "SpeakText"}
    script.commands = [
        Refusal(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            [
                ErrorInfo(reason="GATEWAY_OVERLOADED", metadata=metadata),
                BadRequest(field_violations=[field]),
                RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)),
            ],
        )
    ]

    ended = speak(program, gateway.address, "c1", "hello")

    assert (ended.code, ended.text) == (
        1,
        "RESOURCE_EXHAUSTED: as told\n"
        "  reason: GATEWAY_OVERLOADED\n"
        "  field payload: is too long\n"
        "  retry after: 1.500 s\n"
        "  outcome: not_sent\n"
        "  command_id: id-1\n",
    )


def test_an_error_of_a_library_has_no_details(program: Built, script: Script) -> None:
    with ScriptedGateway(script) as gateway:
        address = gateway.address

    ended = speak(program, address, "c1", "hello")

    assert (ended.code, ended.status, ended.line("reason")) == (1, "UNAVAILABLE", "")


def test_a_token_is_sent_in_tls(program: Built, script: Script, tmp_path: Path) -> None:
    authority = Authority()
    server = authority.server()
    ca, token = authority.write(tmp_path), tmp_path / "token"
    token.write_text("secret\n")

    with ScriptedGateway(
        script, grpc.ssl_server_credentials([(server.key, server.cert)])
    ) as gateway:
        options = ("--tls-ca", str(ca), "--token-file", str(token))
        ended = speak(program, gateway.address, *options, "c1", "hello")
        stranger = Authority("another CA").write(tmp_path, "other")
        refused = speak(program, gateway.address, "--tls-ca", str(stranger), "c1", "hello")

    assert ended.code == 0, ended.text
    assert [it.authorization for it in script.sent] == ["Bearer secret"]
    assert refused.code == 1


def test_a_token_is_not_sent_in_clear(
    program: Built, script: Script, gateway: ScriptedGateway, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("secret")

    ended = speak(program, gateway.address, "--token-file", str(token), "c1", "hello")

    assert ended.code == 1
    assert "tls-ca" in ended.text
    assert script.sent == []


Follow = Callable[..., tuple[int, str]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state.jsonl"


@pytest.fixture
def follow(program: Built, gateway: ScriptedGateway, state: Path, tmp_path: Path) -> Follow:
    """Runs a subscriber to its end; returns its exit code, and what it said."""

    def follow(*options: str) -> tuple[int, str]:
        said = tmp_path / "said.txt"
        process = program.follow(gateway.address, "--state", str(state), *options, said=said)
        try:
            return process.wait(PATIENCE_S), said.read_text()
        finally:
            process.kill()
            process.wait()

    return follow


def test_a_subscriber_goes_on_after_whatever_ends_a_stream(
    script: Script, follow: Follow, state: Path
) -> None:
    gap = Gap(missed_events=7, reason=GAP_REASON_CURSOR_EXPIRED)
    retry = RetryInfo(retry_delay=Duration(nanos=1))
    limit = ErrorInfo(reason="GATEWAY_OVERLOADED")
    script.streams = [
        [response("1", "a", "b"), Silence()],
        [response("2"), response("3", drain=Drain(reason=DRAIN_REASON_SHUTDOWN))],
        [Refusal(Unavailable, [retry])],
        [Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, [limit])],
        [Refusal(grpc.StatusCode.UNKNOWN)],
        [response("4", gap=gap), response("5", "b", "c", "c"), Silence()],
    ]

    code, said = follow("--until", "3", "--silence", SILENCE_S, "--on-loss", "oldest")

    assert code == 0, said
    assert kept(state) == ["a", "b", "c"]
    first, *others = script.subscribed
    assert first.position == POSITION_EARLIEST
    assert [it.after_cursor for it in others] == ["1", "3", "3", "3", "3"]
    assert {it.on_gap for it in script.subscribed} == {GAP_POLICY_CONTINUE}
    assert first.heartbeat_interval.ToMilliseconds() == 1_333
    assert "nothing came for 4" in said
    assert "drained: SHUTDOWN" in said
    assert "lost: 7 events (CURSOR_EXPIRED)" in said


LOSS = Refusal(
    grpc.StatusCode.OUT_OF_RANGE,
    [ErrorInfo(reason="EPOCH_CHANGED", metadata={"newest_cursor": "9", "oldest_cursor": "8"})],
)


def test_a_loss_stops_a_subscriber_that_was_told_nothing_else(
    script: Script, follow: Follow
) -> None:
    script.streams = [[response("1", "a"), LOSS]]

    code, said = follow()

    assert code == 1
    assert "lost: an unknown number of events (EPOCH_CHANGED)" in said
    assert len(script.subscribed) == 1


def test_after_a_loss_a_subscriber_goes_on_with_the_newest_event_if_told_so(
    script: Script, follow: Follow, state: Path
) -> None:
    script.streams = [[response("1", "a"), LOSS], [response("10", "b"), Silence()]]

    code, said = follow("--on-loss", "newest", "--until", "2")

    assert code == 0, said
    assert "lost: an unknown number of events (EPOCH_CHANGED)" in said
    assert script.subscribed[1].after_cursor == "9"
    assert kept(state) == ["a", "b"]


@pytest.mark.parametrize("code", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INTERNAL])
def test_what_does_not_pass_by_itself_ends_a_subscriber(
    script: Script, follow: Follow, code: grpc.StatusCode
) -> None:
    script.streams = [[Refusal(code, [ErrorInfo(reason="REASON")])]]

    ended, said = follow()

    assert ended == 1
    assert code.name in said
    assert len(script.subscribed) == 1


def test_sigterm_ends_a_subscriber_with_what_it_has(
    program: Built, script: Script, gateway: ScriptedGateway, state: Path, tmp_path: Path
) -> None:
    script.streams = [[response("1", "a"), Silence()]]
    said = tmp_path / "said.txt"
    process = program.follow(gateway.address, "--state", str(state), said=said)
    try:
        until(lambda: state.exists() and state.read_bytes().endswith(b"\n"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0, said.read_text()
    finally:
        process.kill()
        process.wait()

    assert kept(state) == ["a"]
