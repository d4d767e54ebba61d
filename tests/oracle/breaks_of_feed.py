"""Breaks of the feed and of the stream that is read from it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from conferencing.v1.event_service_pb2 import SubscribeResponse
from gateway.feed import dispatch, subscription
from gateway.feed.batch import batch_of
from gateway.feed.dispatch import Dispatcher, Follower
from gateway.feed.errors import EventsLostError
from gateway.feed.feed import Feed
from gateway.feed.rounds import Rounds
from gateway.feed.start import Loss, Start, overtaken
from gateway.feed.subscription import Subscription
from gateway.feed.window import Window
from gateway.journal.cursor import Cursor
from gateway.journal.errors import OvertakenError
from gateway.journal.events import Entry
from gateway.journal.filter import Filter
from gateway.journal.ports import Index
from gateway.journal.reading import Batch
from gateway.server.services import subscribe as subscribe_module
from gateway.server.services.subscribe import SubscribeStream

Patches = Sequence[tuple[Any, str, Any]]


def starts_a_batch_one_late() -> Patches:
    """Takes the position in the window for the first event that is wanted."""
    original = Window.after

    def after(self: Any, position: int, wanted: Filter, limit: int) -> Any:
        return original(self, position + 1, wanted, limit)

    return [(Window, "after", after)]


def passes_over_the_rest() -> Patches:
    """Takes a full batch for all there is, and goes on after the newest event."""

    def batch(matching: Any, through: int, limit: int) -> Batch:
        return Batch(batch_of(matching, through, limit).frames, through)

    # For those who follow live, and for those who read from the log.
    return [(dispatch, "batch_of", batch), (subscription, "batch_of", batch)]


def shares_with_other_places() -> Patches:
    """Gives what was found for one subscriber to all who want the same, wherever they stand."""
    original = Dispatcher.batch_after

    def batch_after(self: Any, position: int, audience: Any) -> Batch:
        for (_, whose), batch in self._shared.items():
            if whose is audience:
                shared: Batch = batch
                return shared
        return original(self, position, audience)

    return [(Dispatcher, "batch_after", batch_after)]


def shares_with_other_filters() -> Patches:
    """Sends what was encoded for one subscriber to all who then stand at its place."""
    original = SubscribeStream._encoded

    async def encoded(self: Any, batch: Batch, *rest: Any) -> bytes:
        last, _, sent = self._last
        if batch.frames and last and last.frames and last.through == batch.through:
            return bytes(sent)
        return await original(self, batch, *rest)

    return [(SubscribeStream, "_encoded", encoded)]


def wakes_by_the_wrong_key() -> Patches:
    """Sleeps under keys that no event has."""
    original = Dispatcher.add

    def add(self: Any, follower: Follower, keys: Any) -> None:
        original(self, follower, tuple((number + 100, value) for number, value in keys))

    return [(Dispatcher, "add", add)]


def goes_with_the_slowest() -> Patches:
    """Has those who follow live wait while somebody else is behind: starved by slow watchers."""
    original = Subscription._ready

    async def ready(self: Any) -> Batch | None:
        dispatcher = self._dispatcher
        slowest = min(it.position for it in dispatcher._followers)
        if self._ends_at is None and self.position > slowest < dispatcher.window.start:
            return None
        return await original(self)

    return [(Subscription, "_ready", ready)]


def sends_a_batch_again() -> Patches:
    """Repeats the last event of a batch at the beginning of the next."""
    original = Subscription._given

    def given(self: Any, batch: Batch) -> Batch:
        due = original(self, batch)
        last = getattr(self, "_last_sent", ())
        self._last_sent = tuple(due.frames[-1:])
        return replace(due, frames=(*last, *due.frames))

    return [(Subscription, "_given", given)]


def sends_backwards() -> Patches:
    """Sends the newest of a batch first."""
    original = Subscription._given

    def given(self: Any, batch: Batch) -> Batch:
        due = original(self, batch)
        return replace(due, frames=tuple(reversed(due.frames)))

    return [(Subscription, "_given", given)]


def goes_past_the_newest() -> Patches:
    """Reads commits that the feed has not been told of yet, and goes on after those it has."""

    async def from_log(self: Any) -> Batch:
        wanted, limit = self._audience.wanted, self._audience.batch_max
        try:
            read = await self._index.read(self.position, wanted, limit, self._visible)
        except OvertakenError as error:
            raise self._lost(error.oldest) from None
        result: Batch = self._given(batch_of(read.frames, read.through, limit))
        return result

    def move(self: Any, position: int) -> None:
        self._position = min(position, self._dispatcher.newest)
        in_window = self.position >= self._window.start
        self._caught_up = in_window and (self._caught_up or self.position >= self._caught_up_at)

    return [(Subscription, "_from_log", from_log), (Subscription, "_move", move)]


def resumes_one_before() -> Patches:
    """Takes a cursor for the next event to send."""

    def change(start: Start, text: str, index: Index) -> Start:
        return replace(start, position=max(start.position - 1, index.span.oldest - 1))

    return _after_cursor(change)


def beats_with_the_newest_cursor() -> Patches:
    """Progress ahead of events: what is not sent yet is skipped by whoever resumes there."""
    original = SubscribeStream._response

    def response(self: Any, frames: Any, cursor: str, *rest: Any, **named: Any) -> bytes:
        return original(self, frames, cursor if frames else self._feed.cursor(), *rest, **named)

    return [(SubscribeStream, "_response", response)]


def beats_where_it_stood() -> Patches:
    """Heartbeats do not move: a quiet subscriber's cursor grows old until it has expired."""
    original = Subscription.next

    async def next_(self: Any, timeout: float) -> Batch:
        told = self.position
        batch = await original(self, timeout)
        return batch if batch.frames or self.drained else replace(batch, through=told)

    return [(Subscription, "next", next_)]


def drains_with_the_newest_cursor() -> Patches:
    """Ends streams with the cursor of the log instead of their own."""
    original = Subscription.next

    async def next_(self: Any, timeout: float) -> Batch:
        batch = await original(self, timeout)
        return replace(batch, through=self._dispatcher.newest) if self.drained else batch

    return [(Subscription, "next", next_)]


def drains_at_once() -> Patches:
    """Ends live streams before they have what has come."""
    return [(Subscription, "_is_at_its_end", property(lambda self: self._ends_at is not None))]


def stops_early() -> Patches:
    """Takes the newest event for one that is yet to come."""
    newest = property(lambda self: max(self.window.newest - 1, self.window.start))
    return [(Dispatcher, "newest", newest)]


def ignores_filters() -> Patches:
    """Takes whatever is in the window; from the log the filter holds."""
    original = Window.after

    def after(self: Any, position: int, wanted: Filter, limit: int) -> Any:
        return original(self, position, Filter(), limit)

    return [(Window, "after", after)]


def moves_expired_cursors() -> Patches:
    """Clamps: whoever comes too late gets what is left, and never learns of the rest."""
    return _after_cursor(lambda start, text, index: Start(start.position) if start.loss else start)


def ignores_the_epoch() -> Patches:
    """Reads the number only: a cursor of another log is a place in this one."""

    def change(start: Start, text: str, index: Index) -> Start:
        sequence, span = Cursor.parse(text).sequence, index.span
        return Start(sequence) if span.oldest - 1 <= sequence <= span.newest else start

    return _after_cursor(change)


def takes_cursors_ahead() -> Patches:
    """Starts at the end when the cursor is beyond it."""

    def change(start: Start, text: str, index: Index) -> Start:
        ahead = Cursor.parse(text).sequence > index.span.newest
        return Start(index.span.newest) if ahead else start

    return _after_cursor(change)


def miscounts_at_the_opening() -> Patches:
    """Counts the oldest event that is held among those that are lost."""

    def change(start: Start, text: str, index: Index) -> Start:
        loss = start.loss
        if loss is None or loss.missed is None:
            return start
        return replace(start, loss=replace(loss, missed=loss.missed + 1))

    return _after_cursor(change)


def miscounts_on_the_way() -> Patches:
    """The same for readers that are overtaken."""

    def miscounted(position: int, index: Index, oldest: int) -> Loss:
        loss = overtaken(position, index, oldest)
        return replace(loss, missed=(loss.missed or 0) + 1)

    return [(subscription, "overtaken", miscounted)]


def skips_when_overtaken() -> Patches:
    """Goes on with the oldest event when retention has overtaken a reader, and says nothing."""
    original = Subscription._from_log

    async def from_log(self: Any) -> Batch:
        try:
            return await original(self)
        except EventsLostError:
            return Batch((), self.position)

    return [(Subscription, "_from_log", from_log)]


def says_live_too_early() -> Patches:
    """Says live as soon as it streams."""
    original = SubscribeStream._response

    def response(self: Any, frames: Any, cursor: str, state: Any, *rest: Any, **it: Any) -> bytes:
        return original(self, frames, cursor, state._replace(live=True), *rest, **it)

    return [(SubscribeStream, "_response", response)]


def encodes_again() -> Patches:
    """Decodes and encodes each response for each subscriber."""

    def joined(frames: Sequence[bytes], rest: bytes) -> bytes:
        return SubscribeResponse.FromString(b"".join((*frames, rest))).SerializeToString()

    return [(subscribe_module, "joined", joined)]


def wakes_everybody() -> Patches:
    """Wakes all subscribers when anything has come."""

    def concerned(self: Any) -> list[Follower]:
        self.take_in()
        self._due.clear()
        return list(self._followers)

    return [(Dispatcher, "_concerned", concerned)]


def forgets_who_asks_in_a_pause() -> Patches:
    """Wakes nobody for what comes shortly after something else."""
    original = Rounds.ask

    def ask(self: Any) -> None:
        if self._loop().time() >= self._next_at:
            original(self)

    return [(Rounds, "ask", ask)]


def passes_by_what_is_due() -> Patches:
    """Takes whoever has not been woken yet for one for whom nothing has come."""
    return [(Dispatcher, "passed_by", lambda self, keys: self.window.newest)]


def forgets_what_a_round_told() -> Patches:
    """Keeps taking those for idle for whom a round had something."""
    return [(Subscription, "concern", lambda self, passed_by: self._move(passed_by))]


def keeps_a_queue_for_each() -> Patches:
    """Puts every event into a queue of each subscriber. Nothing is lost by it but memory."""
    original = Dispatcher.arrived

    def arrived(self: Any, entries: Sequence[Entry]) -> None:
        original(self, entries)
        for follower in self._followers:
            vars(follower).setdefault("_queue", []).extend(entries)

    return [(Dispatcher, "arrived", arrived)]


def _after_cursor(change: Any) -> Patches:
    original = Feed.after_cursor

    def changed(self: Any, text: str) -> Start:
        start: Start = change(original(self, text), text, self.index)
        return start

    return [(Feed, "after_cursor", changed)]
