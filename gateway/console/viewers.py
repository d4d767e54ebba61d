"""Viewers: who looks at the board, each told what has changed since it was last told."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from gateway.console.board import Board
from gateway.console.encoding import Encoded
from gateway.console.room import Value

# How many may look at one time: people, not services.
VIEWERS_MAX = 20

# Events that wait for a viewer; of more the oldest are skipped, and counted: what a person can read
# in one round is far less, and who has filtered them misses none at 2,000 a second.
_EVENTS_MAX = 500


class Viewer:
    """Somebody who looks. What waits for it is the newest state, so it never falls behind."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._changed: set[tuple[str, str]] = set()
        self._events: deque[Encoded] = deque(maxlen=_EVENTS_MAX)
        self._skipped = 0
        self._news = asyncio.Event()
        self._is_first = True
        self.is_closed = False

    def tell(self, changed: Iterable[tuple[str, str]], events: Iterable[Encoded]) -> None:
        """Take note of what has changed, and of new events."""
        self._changed.update(changed)
        for event in events:
            self._skipped += len(self._events) == _EVENTS_MAX
            self._events.append(event)
        self._news.set()

    def close(self) -> None:
        """Let it go."""
        self.is_closed = True
        self._news.set()

    async def next(self, timeout_s: float) -> Value:
        """Return what is new, the first time everything; nothing after some seconds without."""
        if self._is_first:
            self._is_first = False
            self._take()
            return {"whole": True, **self._board.everything()}
        try:
            await asyncio.wait_for(self._news.wait(), timeout_s)
        except TimeoutError:
            return {}
        return self._take()

    def _take(self) -> Value:
        self._news.clear()
        changed, self._changed = self._changed, set()
        events, skipped = list(self._events), self._skipped
        self._events.clear()
        self._skipped = 0
        found: Value = {"conferences": [], "queues": [], "gone": []}
        for kind, name in sorted(changed):
            value = self._board.encoded(kind, name)
            if value is None:
                found["gone"].append([kind, name])
            else:
                found["conferences" if kind == "conference" else "queues"].append(value)
        told = {key: value for key, value in found.items() if value}
        if events:
            told["events"] = events
        if skipped:
            told["skipped"] = skipped
        return told


class CrowdedError(Exception):
    """So many look already that nobody else may."""


class Viewers:
    """All of them."""

    def __init__(self) -> None:
        self._viewers: set[Viewer] = set()

    def __len__(self) -> int:
        return len(self._viewers)

    def tell(self, changed: Iterable[tuple[str, str]], events: Iterable[Encoded]) -> None:
        """Tell everybody."""
        for viewer in self._viewers:
            viewer.tell(changed, events)

    def close(self) -> None:
        """Let everybody go."""
        for viewer in self._viewers:
            viewer.close()

    @contextmanager
    def looking(self, board: Board) -> Iterator[Viewer]:
        """Add a viewer for as long as the context is open. Raises CrowdedError."""
        if len(self._viewers) >= VIEWERS_MAX:
            raise CrowdedError
        viewer = Viewer(board)
        self._viewers.add(viewer)
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)
