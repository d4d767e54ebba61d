"""A shutdown with hundreds of calls and streams open, and what each of them must have got."""

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import grpc

from conferencing.v1.event_service_pb2 import POSITION_EARLIEST, SubscribeRequest
from tests.harness.crowd import Crowd, EchoingProvider, NamedCall, Posting, StreamEnd
from tests.harness.pages import http_get
from tests.harness.process import GatewayProcess
from tests.harness.readiness import until

CALLS, STREAMS = 200, 200

# Requests that the gateway sends at one time by default: the other calls wait inside it.
_SENT_AT_ONCE = 100

# Calls that are made just before the signal, as many just after it and when the gateway has said
# that it shuts down, and those that are made when all streams have ended.
_RACING, _LATE = 50, 50

# Where a crowd's calls go while a gateway serves.
Reach = Callable[[GatewayProcess], AbstractContextManager[Sequence[grpc.Channel]]]


def nobody_loses_anything(folder: Path, reach: Reach, settings: Sequence[dict[str, str]]) -> None:
    """Shut a gateway down under a crowd and have its successor serve the rest.

    `settings` are the gateway's and its successor's.
    """
    serving, succeeding = settings
    with EchoingProvider() as provider, let_go(provider):
        environment = {"TELNYX_BASE_URL": provider.base_url}
        with GatewayProcess(folder, **environment, **serving) as gateway:
            with reach(gateway) as channels, Crowd(channels, STREAMS) as crowd:
                posting, firsts = a_crowd_is_let_go(gateway, provider, crowd)
            assert gateway.wait(60) == 0
        posting.join()
        log = "".join(gateway.log)
        assert "cuts off" not in log
        assert "ERROR" not in log
        assert "Traceback" not in log

        with (
            GatewayProcess(folder, **environment, **succeeding) as gateway,
            reach(gateway) as channels,
            Crowd(channels, STREAMS + 1) as crowd,
        ):
            resumed = [
                SubscribeRequest(after_cursor=it.cursor, stop_when_caught_up=True) for it in firsts
            ]
            everything = SubscribeRequest(position=POSITION_EARLIEST, stop_when_caught_up=True)
            held, *rests = (it.result(60) for it in crowd.follow([everything, *resumed]))

    stored = held.events
    # A gateway may store one more than it has said: the last response does not always get out.
    assert stored[: len(posting.acknowledged)] == posting.acknowledged
    assert len(stored) <= len(posting.acknowledged) + 1
    for first, rest in zip(firsts, rests, strict=True):
        assert first.events
        assert rest.events
        assert [*first.events, *rest.events] == stored


@contextmanager
def let_go(provider: EchoingProvider) -> Iterator[threading.Event]:
    try:
        yield provider.letting_go
    finally:
        provider.letting_go.set()


def a_crowd_is_let_go(
    gateway: GatewayProcess, provider: EchoingProvider, crowd: Crowd
) -> tuple[Posting, list[StreamEnd]]:
    """Shut down, judge every call, and return what still posts and what the streams have got."""
    streams = crowd.follow([SubscribeRequest()] * STREAMS)
    held = crowd.call("held", CALLS)
    until(lambda: waiting_in(gateway) == CALLS - _SENT_AT_ONCE)
    until(lambda: len(provider.asked_for().keys() & {it.name for it in held}) == _SENT_AT_ONCE)
    posting = Posting(gateway.webhooks)
    posting.wait_for_more(30)

    racing = crowd.call("racing", _RACING)
    gateway.signal(signal.SIGTERM)
    racing += crowd.call("racing", _RACING)
    gateway.wait_for("shutting down")
    # On a connection whose streams have not been let go yet they are served.
    racing += crowd.call("racing", _RACING)

    firsts = [it.result(60) for it in streams]
    assert all(it.is_drained and it.cursor for it in firsts)
    late = crowd.call("late", _LATE)
    # Streams end while calls are waited for, and webhooks are taken until these have ended.
    posting.wait_for_more(100)
    assert not any(it.is_over for it in held)
    provider.letting_go.set()

    assert Counter(it.end() for it in held) == {"OK": CALLS}
    for it in racing:
        assert it.end() == "OK" or is_refusal(it.end())
    for it in late:
        assert is_refusal(it.end())
    nothing_was_sent_in_vain(provider, [*held, *racing, *late])
    return posting, firsts


def waiting_in(gateway: GatewayProcess) -> int:
    """How many calls wait for their turn at the provider."""
    lines = http_get(gateway.admin_address, "/metrics")[1].splitlines()
    (line,) = [it for it in lines if it.startswith("gateway_upstream_waiting ")]
    return round(float(line.split()[1]))


def is_refusal(end: str) -> bool:
    """Whether a call may be made again: refused in the gateway's words, or by who is before it."""
    return end in ("UNAVAILABLE GATEWAY_SHUTTING_DOWN", "UNAVAILABLE on the way")


def nothing_was_sent_in_vain(provider: EchoingProvider, calls: Sequence[NamedCall]) -> None:
    """See that the provider was asked for what succeeded, and for nothing that was refused."""
    asked = provider.asked_for()
    for it in calls:
        assert (asked[it.name] > 0) == (it.end() == "OK"), (it.name, it.end())
        # What would be heard twice is sent once, whatever happens.
        assert it.can_be_repeated or asked[it.name] <= 1
