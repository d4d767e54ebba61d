"""The feed and the log as their clients read them, in a line."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import grpc

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import (
    POSITION_EARLIEST,
    ListEventsRequest,
    ListEventsResponse,
    SubscribeRequest,
    SubscribeResponse,
)
from conferencing.v1.event_service_pb2_grpc import EventServiceStub

# What is read in one go is there by then, in seconds.
_READ_S_MAX = 30


class Gateway(Protocol):
    """A gateway of this process or another, with the stub of its event service."""

    events: Any


def opened(gateway: Gateway, **fields: Any) -> tuple[Any, SubscribeResponse]:
    """Open a stream; returns it and its first response."""
    stream = gateway.events.Subscribe(SubscribeRequest(**fields))
    return stream, next(stream)


@contextmanager
def followed(address: str, count: int) -> Iterator[list[tuple[EventServiceStub, Any]]]:
    """Open so many streams one after the other, each on a connection of its own with its stub."""
    with ExitStack() as stack:
        found = []
        for _ in range(count):
            own = [("grpc.use_local_subchannel_pool", 1)]
            stub = EventServiceStub(stack.enter_context(grpc.insecure_channel(address, own)))
            stream = stub.Subscribe(SubscribeRequest())
            next(stream)
            found.append((stub, stream))
        yield found


def replay(gateway: Gateway, **fields: Any) -> list[Event]:
    """Everything that a bounded subscription delivers."""
    request = SubscribeRequest(stop_when_caught_up=True, **fields)
    stream = gateway.events.Subscribe(request, timeout=_READ_S_MAX)
    return [event for response in stream for event in response.events]


def everything(gateway: Gateway, **fields: Any) -> list[Event]:
    """Everything that the log holds."""
    return replay(gateway, position=POSITION_EARLIEST, **fields)


def listed(gateway: Gateway, **fields: Any) -> list[ListEventsResponse]:
    """All pages of a list."""
    request = ListEventsRequest(**fields)
    found = []
    while True:
        found.append(gateway.events.ListEvents(request))
        if not found[-1].next_page_token:
            return found
        request.page_token = found[-1].next_page_token


def pages(gateway: Gateway, **fields: Any) -> list[list[str]]:
    """The ids of the events on each page of a list."""
    return [ids(page.events) for page in listed(gateway, **fields)]


def ids(events: Iterable[Event]) -> list[str]:
    return [event.id for event in events]
