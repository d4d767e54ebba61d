"""From the mesh: calls, streams and frames on the port of gRPC, as bugs and malice send them."""

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import count, repeat
from time import monotonic, sleep
from typing import Any

import grpc

from bench.feed import http2
from conferencing.v1.conference_service_pb2 import SpeakTextRequest
from conferencing.v1.event_service_pb2 import (
    POSITION_EARLIEST,
    EventFilter,
    ListEventsRequest,
    SubscribeRequest,
    WatchConferenceRequest,
)
from gateway.tokens import TokenKind, seal
from tests.harness import floods
from tests.harness.http2 import RawClient, message, rpc
from tests.hostile.attacks.target import Target
from tests.hostile.canary import ask

EVENTS = "/conferencing.v1.EventService"
CONFERENCES = "/conferencing.v1.ConferenceService"

# What a slow reader lets come on each stream, in bytes: the response that opens it, and a crumb of
# the next one.
CRUMBS = 300

# How long an attacker waits for room to send, and for a response, in seconds.
_PATIENCE_S = 0.5
_CALL_S = 3.0

_OWN = [("grpc.use_local_subchannel_pool", 1)]


def client(target: Target, *, deaf: bool = False, window: int = http2.STREAM_WINDOW) -> RawClient:
    found = RawClient(target.grpc, deaf=deaf, window=window, source=target.source)
    found.socket.settimeout(_PATIENCE_S)
    return found


def unknown_methods() -> Iterator[bytes]:
    numbers = count(1, 2)
    while True:
        yield b"".join(
            rpc(it, f"/no.Such/Method{it}") + message(it)
            for it in (next(numbers) for _ in range(50))
        )


def pings() -> Iterator[bytes]:
    return repeat(http2.frame(http2.PING, 0, 0, bytes(8)) * 1_000)


def empty_data() -> Iterator[bytes]:
    yield rpc(1, floods.INFO)
    yield from repeat(http2.frame(http2.DATA, 0, 1, b"") * 1_000)


FRAMES = {
    **floods.FLOODS,
    "methods that nobody knows": unknown_methods,
    "pings": pings,
    "empty pieces of a message": empty_data,
}


def flood(target: Target, kind: str, connections: int = 2) -> str:
    """Flood some connections, each anew when it has ended; one that is held stays as it is."""
    seen: Counter[str] = Counter()

    def one() -> None:
        while target.goes_on:
            with suppress(OSError), client(target) as raw:
                seen["connections"] += 1
                for frames in FRAMES[kind]():
                    if not raw.send(frames):
                        break
                    seen["bytes"] += len(frames)
                    if not target.goes_on:
                        return
                # Held, or closed: who is held waits as on a broken network.
                while target.goes_on and not raw.ended.wait(0.1):
                    pass

    threads = [threading.Thread(target=one) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return str(dict(seen))


def calls(target: Target, path: str, body: bytes, at_once: int = 20, connections: int = 2) -> str:
    """Make calls as a client library does: so many at a time on each connection, for ever."""
    ends: Counter[str] = Counter()

    def one(channel: grpc.Channel) -> None:
        method: Any = channel.unary_unary(path)
        while target.goes_on:
            try:
                method(body, timeout=_CALL_S)
                ends["OK"] += 1
            except grpc.RpcError as error:
                ends[error.code().name] += 1

    with ExitStack() as stack:
        channels = [
            stack.enter_context(grpc.insecure_channel(target.grpc, _OWN))
            for _ in range(connections)
        ]
        threads = [
            threading.Thread(target=one, args=(channel,))
            for channel in channels
            for _ in range(at_once)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return str(dict(ends))


def streams(target: Target, path: str, body: bytes, count_: int) -> str:
    """Open so many streams on one connection as a client library does, and keep them."""
    with grpc.insecure_channel(target.grpc, _OWN) as channel:
        method: Any = channel.unary_stream(path)
        held = [method(body) for _ in range(count_)]
        while target.goes_on:
            sleep(0.1)
        for one in held:
            one.cancel()
    ends = Counter(code.name for one in held if (code := one.code()) is not None)
    return str(dict(ends))


def opened(
    target: Target,
    path: str,
    body: bytes,
    count_: int,
    connections: int = 1,
    *,
    deaf: bool = False,
    each: bool = False,
    window: int | None = None,
) -> str:
    """Open so many calls on each connection and keep them; `deaf` reads nothing of them.

    `window` is what may be sent on each before it reads, by default nothing to the deaf. With
    `each`, "00000" in the request's bytes is another number in each call.
    """
    if window is None:
        window = 0 if deaf else http2.STREAM_WINDOW
    sent = 0
    with ExitStack() as stack:
        crowd = [
            stack.enter_context(client(target, deaf=deaf, window=window))
            for _ in range(connections)
        ]
        for raw in crowd:
            if window:
                # For all streams together there is more: each has its own part of it.
                raw.send(http2.window_update(0, http2.STREAM_WINDOW))
            for number in range(count_):
                stream = 2 * number + 1
                of_it = body.replace(b"00000", b"%05d" % number) if each else body
                if not target.goes_on or not raw.send(rpc(stream, path) + message(stream, of_it)):
                    break
                sent += 1
        while target.goes_on:
            crowd[0].ended.wait(0.1)
        frames = sum((it.frames for it in crowd), Counter[int]())
    return f"{sent} calls, {frames[http2.HEADERS]} headers, {frames[http2.DATA]} data"


def empty_values() -> bytes:
    """A filter of half a million empty values: the largest message that is taken."""
    return ListEventsRequest(filter=EventFilter(conference_ids=[""] * 500_000)).SerializeToString()


def large_filter() -> bytes:
    """As large as a filter may be."""
    ids = [f"{number:0120d}" for number in range(1_000)]
    return SubscribeRequest(filter=EventFilter(conference_ids=ids)).SerializeToString()


def nothing() -> bytes:
    """A search that finds nothing and looks at everything."""
    wanted = EventFilter(call_session_ids=["nobody"], types=["no.such*", "nor.that*"])
    return ListEventsRequest(filter=wanted).SerializeToString()


def everything() -> bytes:
    return ListEventsRequest(page_size=1_000, include_raw=True).SerializeToString()


def from_the_beginning() -> bytes:
    return SubscribeRequest(position=POSITION_EARLIEST, include_raw=True).SerializeToString()


def in_large_batches() -> bytes:
    return SubscribeRequest(position=POSITION_EARLIEST, max_batch_events=1_000).SerializeToString()


def forged() -> bytes:
    token = seal(TokenKind(b"l", 2), bytes(8) + (2**63).to_bytes(8, "big") + bytes(8))
    return ListEventsRequest(page_token=token).SerializeToString()


def large_message() -> bytes:
    request = SpeakTextRequest(conference_id="canary-not", payload="x" * 1_000_000, voice="female")
    return request.SerializeToString()


def watch() -> bytes:
    """A watch on a conference of which there are as many as asked for."""
    return WatchConferenceRequest(conference_id="hostile-watched-00000").SerializeToString()


def watches(target: Target, count_: int, connections: int, at_once: int, per_second: float) -> str:
    """Watch ever other conferences. Fails if the provider is asked more than the budget allows."""

    def asked() -> int:
        said = ask(target.provider, b"GET /control HTTP/1.1\r\nhost: x\r\n\r\n")
        return int(json.loads(said.partition(b"\r\n\r\n")[2]).get("watched", 0))

    before, began = asked(), monotonic()
    opening = opened(target, f"{EVENTS}/WatchConference", watch(), count_, connections, each=True)
    requests = asked() - before
    allowed = at_once + per_second * (monotonic() - began)
    told = f"{opening}; {requests} requests to the provider, {allowed:.0f} allowed"
    # A tenth more: repeats are charged when they have been sent.
    assert requests <= 1.1 * allowed, told
    return told


def connections(target: Target, count_: int, *, speaks: bool) -> str:
    """Hold connections; those that do not speak send nothing."""
    host, _, port = target.grpc.rpartition(":")
    held: list[socket.socket] = []
    refused = 0
    for _ in range(count_):
        if not target.goes_on:
            break
        try:
            one = socket.create_connection((host, int(port)), 1, source_address=(target.source, 0))
            held.append(one)
            if speaks:
                one.sendall(http2.opening(http2.STREAM_WINDOW))
        except OSError:
            refused += 1
    while target.goes_on:
        sleep(0.1)
    for one in held:
        one.close()
    return f"{len(held)} connections, {refused} refused"


def silent_messages(target: Target, connections: int = 20) -> str:
    """Say that a megabyte is to come, send nearly all of it on many streams, and stop."""
    sent = 0
    with ExitStack() as stack:
        crowd = [stack.enter_context(client(target)) for _ in range(connections)]
        for raw in crowd:
            for number in range(50):
                stream = 2 * number + 1
                head = rpc(stream, f"{CONFERENCES}/SpeakText")
                piece = http2.PREFIX.pack(0, 1_000_000) + bytes(16_000)
                if not target.goes_on or not raw.send(
                    head + http2.frame(http2.DATA, 0, stream, piece)
                ):
                    break
                sent += 1
        while target.goes_on:
            crowd[0].ended.wait(0.1)
    return f"{sent} calls"
