"""How streams end, and what they leave."""

import asyncio

import grpc
import pytest

from conferencing.v1.event_service_pb2 import (
    DRAIN_REASON_MAX_AGE,
    DRAIN_REASON_SHUTDOWN,
    POSITION_EARLIEST,
    SubscribeRequest,
)
from tests.conftest import StartGateway
from tests.harness.burst import open_at_once
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.loop import LoopThread
from tests.harness.readiness import until
from tests.harness.reading import ids, opened

Code = grpc.StatusCode


# Three and a half times the age of a stream that is set, and time for a slow machine.
CUT_OFF_S_MAX = 20.0


@pytest.mark.slow
def test_a_shutdown_ends_streams_with_their_cursor(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    stream, _ = opened(gateway)
    sent = gateway.webhooks.event()
    response = next(stream)

    gateway.stop()
    rest = list(stream)

    assert ids(list(response.events)) == [sent]
    assert rest[-1].drain.reason == DRAIN_REASON_SHUTDOWN
    assert rest[-1].cursor == response.cursor
    assert stream.code() is Code.OK


@pytest.mark.slow
def test_a_stream_ends_in_order_when_it_is_old(start_gateway: StartGateway) -> None:
    gateway = start_gateway(GATEWAY_STREAM_AGE_MAX="1s")

    stream, first = opened(gateway)
    rest = list(stream)

    assert rest[-1].drain.reason == DRAIN_REASON_MAX_AGE
    assert rest[-1].cursor == first.cursor
    assert stream.code() is Code.OK


@pytest.mark.slow
def test_a_client_that_has_stopped_reading_is_cut_off_in_the_end(
    start_gateway: StartGateway, loop: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.server.grpc.ages._LATE_CALL_S", 0.0)
    gateway = start_gateway(GATEWAY_STREAM_AGE_MAX="1s")
    # More than the windows and buffers on the way take, in signed bytes.
    for _ in range(60):
        gateway.webhooks.event(padding="x" * 400_000)
    request = SubscribeRequest(position=POSITION_EARLIEST, include_raw=True)
    stream = gateway.events.Subscribe(request)
    next(stream)

    # Being old ends no stream that cannot be told so. Its connection's age does.
    loop.run(asyncio.wait_for(gateway.app.rules.in_flight.wait_until_idle(), CUT_OFF_S_MAX))

    failure = failure_of(lambda timeout: list(stream))
    assert failure.code is Code.UNAVAILABLE


def test_a_client_that_goes_leaves_nothing_behind(fresh: RunningGateway) -> None:
    streams = [opened(fresh)[0] for _ in range(20)]
    assert fresh.gauge(r'gateway_feed_subscribers\{caller=""\}') == 20

    for stream in streams:
        stream.cancel()

    until(lambda: fresh.gauge(r'gateway_feed_subscribers\{caller=""\}') == 0)
    fresh.stop()  # returns when the calls have ended
    assert len(fresh.app.rules.in_flight) == 0


@pytest.mark.slow
def test_thousands_who_come_back_at_once_are_all_taken_in(fresh: RunningGateway) -> None:
    """As after a restart; gRPC by itself turns some away once a thousand wait."""
    request = SubscribeRequest().SerializeToString()
    path = "/conferencing.v1.EventService/Subscribe"

    answered, ended = open_at_once(str(fresh.app.grpc_address), path, request, 5_000, 5)

    assert (answered, ended) == (5_000, 0)
