"""Honest calls beside an attack: a webhook, its event on a live stream, a command, a query, health.

Each is made four times a second, on connections of its own, and none hides how late another is.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from time import monotonic, thread_time

import grpc

from conferencing.v1.conference_service_pb2 import HoldParticipantsRequest
from conferencing.v1.conference_service_pb2_grpc import ConferenceServiceStub
from conferencing.v1.event_service_pb2 import EventFilter, ListEventsRequest, SubscribeRequest
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from tests.harness.webhooks import Poster, Signer, webhook

EVERY_S = 0.25

# An honest caller's patience, in seconds. A call that takes longer has failed.
PATIENCE_S = 10.0

# What the canary's events and commands are about, and nobody else's.
CONFERENCE = "canary"

WEBHOOK, STREAM, COMMAND, QUERY, HEALTH = "webhook", "stream", "command", "query", "healthz"
KINDS = (WEBHOOK, STREAM, COMMAND, QUERY, HEALTH)

# Not of the gateway: how late the machine itself is, and the provider, asked by nobody between; and
# how much of a processor's time a piece of work takes.
NEIGHBOUR, PROVIDER, WORK = "neighbour", "provider", "work"

# The piece of work: turns of a loop.
_TURNS = 50_000

_OWN = [("grpc.use_local_subchannel_pool", 1)]


@dataclass(frozen=True, slots=True)
class Call:
    """An honest call: when it began, how long it took, in seconds, and how it failed if it did.

    Of the piece of work, `seconds` is the processor's time.
    """

    kind: str
    began: float
    seconds: float
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a gateway is, the neighbour, and the gateway's provider."""

    http: str
    admin: str
    grpc: str
    neighbour: str
    provider: str


class Canary:
    """Calls from construction on; use as a context manager."""

    def __init__(self, addresses: Addresses, signer: Signer) -> None:
        self._addresses = addresses
        self._poster = Poster(addresses.http, signer)
        self._lock = threading.Condition()
        self._calls: list[Call] = []
        # When the webhooks that were acknowledged, and are not on the stream yet, were posted.
        self._awaited: dict[str, float] = {}
        self._arrived: dict[str, float] = {}
        self._stopping = threading.Event()
        self._channels = {kind: grpc.insecure_channel(addresses.grpc, _OWN) for kind in KINDS}
        self._numbers = count(1)
        stubs = {kind: EventServiceStub(it) for kind, it in self._channels.items()}
        self._stream_stub, self._query_stub = stubs[STREAM], stubs[QUERY]
        self._command_stub = ConferenceServiceStub(self._channels[COMMAND])
        self._following = threading.Event()
        calls: dict[str, Callable[[], None]] = {
            WEBHOOK: self._post,
            COMMAND: self._hold,
            QUERY: self._list,
            HEALTH: self._ask_health,
            NEIGHBOUR: self._ask_neighbour,
            PROVIDER: self._ask_provider,
        }
        self._threads = [threading.Thread(target=self._follow, daemon=True)] + [
            threading.Thread(target=self._repeat, args=(kind, call), daemon=True)
            for kind, call in calls.items()
        ]
        self._threads.append(threading.Thread(target=self._work, daemon=True))
        self._threads[0].start()
        assert self._following.wait(PATIENCE_S), "the canary's stream did not open"
        for thread in self._threads[1:]:
            thread.start()

    def calls(self, since: float, until: float) -> list[Call]:
        """Return the calls that began within a time, once all of them have ended."""
        ends_at = monotonic() + 2 * PATIENCE_S
        repeated = [kind for kind in (*KINDS, NEIGHBOUR, PROVIDER, WORK) if kind != STREAM]
        with self._lock:

            def all_ended() -> bool:
                later = {it.kind for it in self._calls if it.began + it.seconds >= until}
                awaited = any(since <= began < until for began in self._awaited.values())
                return later.issuperset(repeated) and not awaited

            self._lock.wait_for(all_ended, ends_at - monotonic())
            found = [it for it in self._calls if since <= it.began < until]
            found += [
                Call(STREAM, began, monotonic() - began, "an acknowledged event has not come")
                for began in self._awaited.values()
                if since <= began < until
            ]
            return found

    def __enter__(self) -> "Canary":
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for channel in self._channels.values():
            channel.close()
        for thread in self._threads:
            thread.join(2 * PATIENCE_S)

    def _repeat(self, kind: str, call: Callable[[], None]) -> None:
        while not self._stopping.wait(EVERY_S):
            began, failure = monotonic(), ""
            try:
                call()
            except grpc.RpcError as error:
                failure = f"{error.code()}: {error.details()}"
            except (OSError, AssertionError, ValueError) as error:
                failure = f"{type(error).__name__}: {error}"
            self._note(Call(kind, began, monotonic() - began, failure))

    def _work(self) -> None:
        while not self._stopping.wait(EVERY_S):
            began, began_at = monotonic(), thread_time()
            for number in range(_TURNS):
                _ = number * number
            self._note(Call(WORK, began, thread_time() - began_at))

    def _note(self, call: Call) -> None:
        with self._lock:
            if not self._stopping.is_set():
                self._calls.append(call)
                self._lock.notify_all()

    def _post(self) -> None:
        id_ = f"canary-{id(self)}-{next(self._numbers)}"
        body = webhook(payload={"conference_id": CONFERENCE}, id_=id_)
        began = monotonic()
        reply = self._poster.post(body)
        assert reply.status == 200, reply
        with self._lock:
            arrived_at = self._arrived.pop(id_, None)
            if arrived_at is None:
                self._awaited[id_] = began
                return
        self._note(Call(STREAM, began, arrived_at - began))

    def _hold(self) -> None:
        request = HoldParticipantsRequest(conference_id=CONFERENCE)
        self._command_stub.HoldParticipants(request, timeout=PATIENCE_S)

    def _list(self) -> None:
        wanted = EventFilter(conference_ids=[CONFERENCE])
        request = ListEventsRequest(filter=wanted, page_size=5, newest_first=True)
        self._query_stub.ListEvents(request, timeout=PATIENCE_S)

    def _ask_health(self) -> None:
        said = ask(self._addresses.admin, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 200"), said

    def _ask_neighbour(self) -> None:
        assert ask(self._addresses.neighbour, b"well?\n") == b"well?\n"

    def _ask_provider(self) -> None:
        request = b"GET /v2/conferences/canary HTTP/1.1\r\nhost: x\r\n\r\n"
        assert ask(self._addresses.provider, request).startswith(b"HTTP/1.1 200")

    def _follow(self) -> None:
        request = SubscribeRequest(filter=EventFilter(conference_ids=[CONFERENCE]))
        while not self._stopping.is_set():
            began = monotonic()
            try:
                for response in self._stream_stub.Subscribe(request):
                    self._following.set()
                    request.after_cursor = response.cursor
                    for event in response.events:
                        self._arrive(event.id)
            except grpc.RpcError as error:
                told = f"{error.code()}: {error.details()}"
                self._note(Call(STREAM, began, monotonic() - began, told))
                self._stopping.wait(EVERY_S)

    def _arrive(self, id_: str) -> None:
        now = monotonic()
        with self._lock:
            began = self._awaited.pop(id_, None)
            if began is None:
                # It is here before its acknowledgement is.
                self._arrived[id_] = now
                return
        self._note(Call(STREAM, began, now - began))


def ask(address: str, request: bytes) -> bytes:
    """Send a request on a connection of its own; returns what comes first."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), PATIENCE_S) as connection:
        connection.sendall(request)
        said = connection.recv(4_096)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        return said
