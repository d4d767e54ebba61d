"""What is recorded of a call beside how it ended: by whom, with what, in which form."""

from typing import Any

import grpc

from conferencing.v1.event_service_pb2 import SubscribeRequest
from gateway.server.call import Call
from gateway.server.errors import GatewayError
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.served import Serve


async def answer(call: Call[bytes]) -> bytes:
    return b"seven b"


async def write(call: Call[bytes]) -> None:
    for size in (1, 20, 300):
        await call.write(bytes(size))


async def refuse(call: Call[bytes]) -> bytes:
    raise GatewayError(grpc.StatusCode.ABORTED, "CONFLICT", "somebody else was quicker")


def test_sizes_are_those_of_the_messages(serve: Serve) -> None:
    unary, stream = serve(answer=answer), serve(stream=True, write=write)

    call: Any = unary.channel.unary_unary("/s/answer")
    call(b"four", timeout=20)
    assert len(list(stream.stream("write"))) == 3

    (one,), (other,) = unary.ends(1), stream.ends(1)
    assert (one.received_bytes, one.sent_bytes, one.is_stream) == (4, 7, False)
    assert (other.received_bytes, other.sent_bytes, other.is_stream) == (0, 321, True)
    assert one.peer.startswith("ipv4:127.0.0.1:")
    assert (one.caller, one.reason, one.message, one.attempts) == ("", "", "", 0)


def test_a_failure_has_its_reason_and_its_words(serve: Serve) -> None:
    served = serve(refuse=refuse)

    failure_of(served.channel.unary_unary("/s/refuse"), b"")

    (end,) = served.ends(1)
    assert (end.status, end.reason) == ("ABORTED", "CONFLICT")
    assert end.message == "somebody else was quicker"
    assert end.sent_bytes == 0


def test_a_method_that_nobody_serves_is_refused_in_words_and_counted_as_other(
    gateway: RunningGateway,
) -> None:
    for name in ("conferencing.v1.ConferenceService/MakeCoffee", "x" * 4_000):
        call: Any = gateway.channel.unary_unary(f"/{name}")
        failure = failure_of(call, b"")

        assert failure.code is grpc.StatusCode.UNIMPLEMENTED
        assert failure.info.reason == "METHOD_NOT_FOUND"
        assert name[:150] in failure.message

    count = "grpc_server_call_duration_seconds_count"
    labels = r'\{grpc_method="other",grpc_status="UNIMPLEMENTED"\}'
    assert gateway.gauge(count + labels) >= 2
    assert "Coffee" not in gateway.metrics()


def test_calls_that_have_begun_are_those_that_ended_and_those_in_flight(
    fresh: RunningGateway,
) -> None:
    name = "conferencing.v1.EventService/Subscribe"
    started = rf'grpc_server_call_started_total\{{grpc_method="{name}"\}}'
    ended = rf'grpc_server_call_duration_seconds_count\{{grpc_method="{name}",grpc_status="OK"\}}'
    streams = [fresh.events.Subscribe(SubscribeRequest()) for _ in range(3)]
    for stream in streams:
        next(stream)
    list(fresh.events.Subscribe(SubscribeRequest(stop_when_caught_up=True)))

    assert (fresh.gauge(started), fresh.gauge(ended)) == (4, 1)
    for stream in streams:
        stream.cancel()
