"""What the writer has to do, in the order it was asked for, and in groups."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from gateway.journal.events import Appended, Entry, NewEvent

# The most events in one commit. Larger groups gain nothing measurable and delay the first of them.
GROUP_MAX = 512

# How long to let events gather that come while others are being stored, in seconds: where there are
# such, more are on their way. Each commit costs the event loop as much as several events do.
GATHER_S = 0.002

R = TypeVar("R")


class Append(NamedTuple):
    """An event to store."""

    event: NewEvent
    done: asyncio.Future[Appended]
    # When it was asked for, on the monotonic clock.
    asked_at: float


@dataclass(frozen=True, slots=True)
class Alone(Generic[R]):
    """Work with a commit of its own: what comes of it, and the entries that it has stored."""

    work: Callable[[], tuple[R, Sequence[Entry]]]
    done: asyncio.Future[R]

    def ended(self) -> tuple[Sequence[R], Sequence[Entry]]:
        """Do it, and return what has come of it as if it were one of several."""
        result, entries = self.work()
        return [result], entries


class _Stop:
    """The end of the work."""


_Job: TypeAlias = Append | Alone[Any] | _Stop


class JobQueue:
    """Takes jobs from the event loop and hands them to one thread."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        # Taken from the queue, but not of the group that was just made. The thread's own.
        self._next: _Job | None = None

    def put(self, job: Append | Alone[Any]) -> None:
        """Add a job."""
        self._jobs.put(job)

    def stop(self) -> None:
        """Let `next` return None when everything before has been handed out."""
        self._jobs.put(_Stop())

    def next(self) -> Sequence[Append] | Alone[Any] | None:
        """Wait for what is to be done next: events for one commit, or work with its own."""
        if not self._jobs.empty():
            time.sleep(GATHER_S)
        job, self._next = self._next or self._jobs.get(), None
        if isinstance(job, _Stop):
            return None
        if isinstance(job, Alone):
            return job
        group = [job]
        while len(group) < GROUP_MAX:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if not isinstance(job, Append):
                self._next = job
                break
            group.append(job)
        return group
