"""A shutdown as clients see it: who is in flight, who calls, who is idle, who has stopped."""

import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from conferencing.v1.conference_service_pb2 import EndConferenceRequest, PlayAudioRequest
from conferencing.v1.conference_service_pb2_grpc import ConferenceServiceStub
from conferencing.v1.event_service_pb2 import (
    POSITION_EARLIEST,
    GetEventRequest,
    GetFeedInfoRequest,
    SubscribeRequest,
)
from conferencing.v1.queue_service_pb2 import GetQueueRequest
from conferencing.v1.queue_service_pb2_grpc import QueueServiceStub
from gateway.server.grpc.connections import GOAWAY
from tests.harness.certificates import Authority
from tests.harness.gateway import failure_of
from tests.harness.process import GatewayProcess
from tests.harness.provider import Answer, RecordingProvider, SentRequest
from tests.harness.reading import followed
from tests.harness.storm import Storm
from tests.harness.webhooks import webhook

Code = grpc.StatusCode

# Makes, in a folder, what a gateway's gRPC is reached by: its settings, and a client's credentials.
Reach = Callable[[Path], tuple[dict[str, str], grpc.ChannelCredentials | None]]

HELD = EndConferenceRequest(conference_id="held")


class Holding(RecordingProvider):
    """Answers at once, but what is about `held` only when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.letting_go = threading.Event()
        self.held = threading.Semaphore(0)

        def answer(request: SentRequest) -> Answer:
            if "held" in request.path:
                self.held.release()
                self.letting_go.wait(60)
            return Answer()

        self.answer = answer

    def wait_until_held(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.held.acquire(timeout=20)


@contextmanager
def holding() -> Iterator[Holding]:
    with Holding() as provider:
        try:
            yield provider
        finally:
            provider.letting_go.set()


def signalled(gateway: GatewayProcess) -> None:
    gateway.signal(signal.SIGTERM)
    gateway.wait_for("shutting down")


def ended(gateway: GatewayProcess) -> str:
    """The whole log of a gateway that has to end by itself, and well."""
    assert gateway.wait(60) == 0
    gateway.wait_for("stopped")
    return "".join(gateway.log)


def in_clear(folder: Path) -> tuple[dict[str, str], None]:
    return {}, None


def on_a_socket_file(folder: Path) -> tuple[dict[str, str], None]:
    return {"GATEWAY_GRPC_ADDRESS": f"unix:{folder}/s"}, None


def in_tls(folder: Path) -> tuple[dict[str, str], grpc.ChannelCredentials]:
    authority = Authority()
    cert, key = authority.server().write(folder, "server")
    settings = {"GATEWAY_GRPC_TLS_CERT": str(cert), "GATEWAY_GRPC_TLS_KEY": str(key)}
    return settings, grpc.ssl_channel_credentials(authority.pem)


@pytest.mark.parametrize("attempt", range(3))
@pytest.mark.parametrize("reach", [in_clear, on_a_socket_file, in_tls])
def test_callers_who_storm_a_shutdown_are_answered_or_refused_in_words(
    tmp_path: Path, reach: Reach, attempt: int
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        holding() as provider,
    ):
        settings, tls = reach(Path(folder))
        a_storm_is_drained(tmp_path, provider, settings, tls)


def a_storm_is_drained(
    folder: Path,
    provider: Holding,
    settings: dict[str, str],
    tls: grpc.ChannelCredentials | None,
) -> None:
    with GatewayProcess(folder, TELNYX_BASE_URL=provider.base_url, **settings) as gateway:
        storm = Storm(gateway.grpc_address, connections=4, callers=11, tls=tls)
        # Half of the connections have a call in flight all the time.
        held = [ConferenceServiceStub(it).EndConference.future(HELD) for it in storm.channels[:2]]
        provider.wait_until_held(2)
        storm.wait_for("OK", 500)

        signalled(gateway)
        storm.wait_for("UNAVAILABLE GATEWAY_SHUTTING_DOWN", 500)
        provider.letting_go.set()
        storm.join()

        log = ended(gateway)
        assert [call.result().receipt.result for call in held] == ["ok", "ok"]
        # What was sent was answered, and what was refused was not sent.
        assert len(provider.requests) == storm.ends["OK"] + len(held)
        assert storm.ends["stream ended in order"] == 4
        # Without a word of ours fails only a call that meets the very end of its connection.
        assert set(storm.ends) - {"UNAVAILABLE "} == {
            "OK",
            "stream ended in order",
            "UNAVAILABLE GATEWAY_SHUTTING_DOWN",
        }
        assert "ERROR" not in log
        assert "Traceback" not in log


def test_who_has_a_call_in_flight_is_refused_in_words_and_sees_the_health(tmp_path: Path) -> None:
    with (
        holding() as provider,
        GatewayProcess(tmp_path, TELNYX_BASE_URL=provider.base_url) as gateway,
    ):
        stream = gateway.events.Subscribe(SubscribeRequest())
        next(stream)
        held = gateway.conferences.EndConference.future(HELD)
        provider.wait_until_held()

        signalled(gateway)

        assert list(stream)[-1].HasField("drain")
        assert stream.code() is Code.OK
        # As a subscriber does that goes on from its cursor at once.
        again = failure_of(gateway.events.Subscribe, SubscribeRequest())
        assert (again.code, again.info.reason) == (Code.UNAVAILABLE, "GATEWAY_SHUTTING_DOWN")
        health = health_pb2_grpc.HealthStub(gateway.channel)
        assert (
            health.Check(health_pb2.HealthCheckRequest()).status
            == health_pb2.HealthCheckResponse.NOT_SERVING
        )
        host, _, port = gateway.grpc_address.rpartition(":")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)), timeout=20)

        provider.letting_go.set()
        assert held.result().receipt.result == "ok"
        ended(gateway)
        assert len(provider.requests) == 1


def test_without_another_gateway_on_its_log_all_streams_are_let_go_at_once(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path) as gateway, followed(gateway.grpc_address, 200) as following:
        signalled(gateway)

        (_, first), *_, (stub, last) = following
        assert next(first).HasField("drain")
        assert failure_of(stub.GetFeedInfo, GetFeedInfoRequest()).code is Code.UNAVAILABLE
        assert next(last).HasField("drain")
        ended(gateway)


def frames(connection: socket.socket) -> Iterator[bytes]:
    """HTTP/2 frames until the connection's end, pings and their like left out."""
    with connection.makefile("rb") as stream:
        while header := stream.read(9):
            body = stream.read(int.from_bytes(header[:3]))
            if header[3] not in (0x4, 0x6, 0x8):
                yield header + body


def test_an_idle_connection_is_told_to_go_whatever_others_wait_for(tmp_path: Path) -> None:
    with (
        holding() as provider,
        GatewayProcess(tmp_path, TELNYX_BASE_URL=provider.base_url) as gateway,
    ):
        host, _, port = gateway.grpc_address.rpartition(":")
        idle = socket.create_connection((host, int(port)), timeout=20)
        # The connection preface: a fixed text, and settings without any.
        idle.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"))
        held = gateway.conferences.EndConference.future(HELD)
        provider.wait_until_held()

        signalled(gateway)

        with idle:
            assert list(frames(idle)) == [GOAWAY]
        assert not held.done()
        provider.letting_go.set()
        assert held.result().receipt.result == "ok"
        ended(gateway)


def half_sent(gateway: GatewayProcess, body: bytes) -> socket.socket:
    """Post half of a webhook."""
    host, _, port = gateway.http_address.rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=20)
    head = {
        "host": gateway.http_address,
        "content-length": str(len(body)),
        **gateway.signer.telnyx(body),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    connection.sendall(f"POST /webhooks/telnyx HTTP/1.1\r\n{lines}\r\n".encode())
    connection.sendall(body[: len(body) // 2])
    return connection


def test_a_webhook_that_is_never_finished_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path, GATEWAY_DRAIN_TIMEOUT="1h") as gateway,
        half_sent(gateway, webhook()),
    ):
        signalled(gateway)
        log = ended(gateway)

    assert "ERROR" not in log
    assert "Traceback" not in log


def test_a_webhook_that_is_finished_while_calls_are_is_stored(tmp_path: Path) -> None:
    body = webhook(id_="late")
    with (
        holding() as provider,
        GatewayProcess(tmp_path, TELNYX_BASE_URL=provider.base_url) as gateway,
    ):
        held = gateway.conferences.EndConference.future(HELD)
        provider.wait_until_held()
        with half_sent(gateway, body) as posting:
            signalled(gateway)
            posting.sendall(body[len(body) // 2 :])
            assert b" 200 OK" in posting.recv(1_000)
        provider.letting_go.set()
        held.result()
        ended(gateway)

    with GatewayProcess(tmp_path) as gateway:
        found = gateway.events.GetEvent(GetEventRequest(event_id="late"))
        assert found.event.id == "late"


def test_who_has_stopped_reading_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, GATEWAY_DRAIN_TIMEOUT="1s") as gateway:
        # More than the windows and buffers on the way take, in signed bytes.
        for _ in range(60):
            gateway.webhooks.event(padding="x" * 400_000)
        request = SubscribeRequest(position=POSITION_EARLIEST, include_raw=True)
        stream = gateway.events.Subscribe(request)
        next(stream)

        signalled(gateway)

        log = ended(gateway)
        assert "the shutdown cuts off 1 calls" in log
        assert "Traceback" not in log
        assert failure_of(lambda timeout: list(stream)).code is Code.UNAVAILABLE


def test_what_is_cut_off_says_what_may_have_become_of_it(tmp_path: Path) -> None:
    settings = {"GATEWAY_DRAIN_TIMEOUT": "1s"}
    with (
        holding() as provider,
        GatewayProcess(tmp_path, TELNYX_BASE_URL=provider.base_url, **settings) as gateway,
    ):
        conferences, queues = gateway.conferences, QueueServiceStub(gateway.channel)
        play = PlayAudioRequest(conference_id="held", media_name="m")
        end = EndConferenceRequest(conference_id="held", command_id="mine")
        calls: dict[str, Any] = {
            "would be heard again": conferences.PlayAudio.future(play, timeout=60),
            "has the gateway's id": conferences.EndConference.future(HELD, timeout=60),
            "has the caller's id": conferences.EndConference.future(end, timeout=60),
            "does nothing": queues.GetQueue.future(GetQueueRequest(queue_name="held"), timeout=60),
        }
        provider.wait_until_held(len(calls))

        signalled(gateway)

        cut = {name: failure_of(call.result) for name, call in calls.items()}
        assert {name: (it.code, it.info.reason) for name, it in cut.items()} == {
            "would be heard again": (Code.UNKNOWN, "OUTCOME_UNKNOWN"),
            "has the gateway's id": (Code.UNKNOWN, "OUTCOME_UNKNOWN"),
            "has the caller's id": (Code.UNAVAILABLE, "GATEWAY_SHUTTING_DOWN"),
            "does nothing": (Code.UNAVAILABLE, "GATEWAY_SHUTTING_DOWN"),
        }
        metadata = {name: it.info.metadata for name, it in cut.items()}
        assert {name: it["method"] for name, it in metadata.items()} == {
            "would be heard again": "PlayAudio",
            "has the gateway's id": "EndConference",
            "has the caller's id": "EndConference",
            "does nothing": "GetQueue",
        }
        assert all(int(it["attempts"]) >= 1 for it in metadata.values())
        assert {name for name, it in metadata.items() if it.get("outcome") == "unknown"} == {
            "would be heard again",
            "has the gateway's id",
            "has the caller's id",
        }
        bodies = [it.body for it in provider.requests if it.body]
        sent = {it["command_id"] for it in bodies if "command_id" in it}
        told = {it["command_id"] for it in metadata.values() if it.get("command_id")}
        assert told == sent >= {"mine"}
        ended(gateway)
