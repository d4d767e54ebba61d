"""What a watched conference needs from others: its events, the provider's word, and the time."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, TypeAlias

from conferencing.v1.conference_service_pb2 import (
    GetConferenceRequest,
    GetConferenceResponse,
    ListParticipantsRequest,
    ListParticipantsResponse,
)
from conferencing.v1.event_pb2 import Event
from gateway.deadline import Deadline
from gateway.journal.filter import Filter

# What the events of a conference are found by.
CONFERENCE_KEY = "conference_id"


class EventBatch(NamedTuple):
    """Events of a conference in the order of the log, perhaps none; each has its `sequence`.

    None comes after a batch that is `draining`.
    """

    events: Sequence[Event]
    draining: bool = False


class EventStream(Protocol):
    """The events of a conference that come after a position."""

    @property
    def position(self) -> int:
        """The number up to which all events of the log have been looked at."""

    def interrupt(self) -> None:
        """Have the current or next `next` return at once, with an empty batch if need be."""

    def let_go(self) -> None:
        """End it: the batch that brings what has come so far, or one after it, is `draining`."""

    async def next(self, timeout: float) -> EventBatch:
        """Return what comes next, or after `timeout` seconds an empty batch.

        What it raises is passed on to whoever watches.
        """


class EventSource(Protocol):
    """Where the events of conferences come from."""

    def following(self, conference_id: str, visible: Filter) -> AbstractContextManager[EventStream]:
        """Open the stream of a conference's events from now on, as far as they are visible."""


RetryObserver: TypeAlias = Callable[[int], None]
"""Is given how many retries a call took, whatever became of it."""


class ConferenceSource(Protocol):
    """The provider's word on a conference, each call of which is one request, or a retry more."""

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What a call raises that fails. Where somebody waits for it, it is passed on."""

    async def conference(
        self, request: GetConferenceRequest, deadline: Deadline, retried: RetryObserver
    ) -> GetConferenceResponse:
        """Return a conference."""

    async def participants(
        self, request: ListParticipantsRequest, deadline: Deadline, retried: RetryObserver
    ) -> ListParticipantsResponse:
        """Return a page of a conference's participants."""


class TimeSource(Protocol):
    """What time it is, in seconds; the module `time` is one."""

    def monotonic(self) -> float:
        """Return the time of a clock that nobody sets."""

    def time(self) -> float:
        """Return the time since 1970."""
