"""Breaks of the feed and of the stream that is read from it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.events import feed as feed_module

from conferencing.v1.event_service_pb2 import SubscribeResponse
from gateway.feed.batch import Delivery, Lot, lot_of
from gateway.feed.feed import Feed, Subscription
from gateway.feed.rounds import Rounds
from gateway.feed.start import Loss, Start, after_cursor, overtaken
from gateway.feed.window import Window
from gateway.journal.cursor import Cursor
from gateway.journal.events import Entry
from gateway.journal.filter import Filter
from gateway.journal.ports import EventLog
from gateway.rpc import subscribe as subscribe_module
from gateway.rpc.subscribe import SubscribeStream

Patches = Sequence[tuple[Any, str, Any]]


def starts_a_batch_one_late() -> Patches:
    """Takes the position in the window for the first event that is wanted."""
    original = Window.after

    def after(self: Any, position: int, wanted: Filter, limit: int) -> Any:
        return original(self, position + 1, wanted, limit)

    return [(Window, "after", after)]


def passes_over_the_rest() -> Patches:
    """Takes a full batch for all there is, and goes on after the newest event."""

    def lot(matching: Any, through: int, limit: int) -> Any:
        return Lot.of(lot_of(matching, through, limit).live.frames, through)

    return [(feed_module, "lot_of", lot)]


def shares_with_other_places() -> Patches:
    """Gives what was found for one subscriber to all who want the same, wherever they stand."""
    original = Feed._lot_after

    def lot_after(self: Any, position: int, audience: Any) -> Any:
        for (_, whose), lot in self._shared.items():
            if whose is audience:
                return lot
        return original(self, position, audience)

    return [(Feed, "_lot_after", lot_after)]


def shares_with_other_filters() -> Patches:
    """Sends what was encoded for one subscriber to all who then stand at its place."""
    original = SubscribeStream._encoded

    def encoded(self: Any, delivery: Delivery) -> bytes:
        last, sent = self._last
        if delivery.frames and last.frames and last.position == delivery.position:
            return bytes(sent)
        return original(self, delivery)

    return [(SubscribeStream, "_encoded", encoded)]


def wakes_by_the_wrong_key() -> Patches:
    """Sleeps under keys that no event has."""
    original = Feed._add

    def add(self: Any, subscription: Any, keys: Any) -> None:
        subscription._keys = tuple((f"{name}s", value) for name, value in keys)
        original(self, subscription, subscription._keys)

    return [(Feed, "_add", add)]


def goes_with_the_slowest() -> Patches:
    """Has those who follow live wait while somebody else is behind: starved by slow watchers."""
    original = Subscription._ready

    async def ready(self: Any) -> Delivery | None:
        feed = self._feed
        slowest = min(it.position for it in feed._subscriptions)
        if not feed.draining and self.position > slowest < feed._window.start:
            return None
        return await original(self)

    return [(Subscription, "_ready", ready)]


def sends_a_batch_again() -> Patches:
    """Repeats the last event of a batch at the beginning of the next."""
    original = Subscription._given

    def given(self: Any, lot: Any) -> Delivery:
        delivery = original(self, lot)
        last = getattr(self, "_last_sent", ())
        self._last_sent = tuple(delivery.frames[-1:])
        return replace(delivery, frames=(*last, *delivery.frames))

    return [(Subscription, "_given", given)]


def sends_backwards() -> Patches:
    """Sends the newest of a batch first."""
    original = Subscription._given

    def given(self: Any, lot: Any) -> Delivery:
        delivery = original(self, lot)
        return replace(delivery, frames=tuple(reversed(delivery.frames)))

    return [(Subscription, "_given", given)]


def goes_past_the_newest() -> Patches:
    """Reads commits that the feed has not been told of yet, and goes on after those it has."""

    async def from_log(self: Any) -> Delivery:
        wanted, limit = self._audience.wanted, self._audience.batch_max
        batch = await self._feed.log.read(self.position, wanted, limit)
        if batch.oldest - 1 > self.position:
            loss = overtaken(self.position, self._feed.log, batch.oldest)
            self._move(loss.position)
            return Delivery((), self.position, False, loss)
        lot = lot_of(batch.frames, batch.through, limit)
        result: Delivery = self._given(lot)
        return result

    def move(self: Any, position: int) -> None:
        self.position = min(position, self._feed.newest)
        in_window = self.position >= self._feed._window.start
        self._caught_up = in_window and (self._caught_up or self.position >= self._caught_up_at)

    return [(Subscription, "_from_log", from_log), (Subscription, "_move", move)]


def resumes_one_before() -> Patches:
    """Takes a cursor for the next event to send."""

    def change(start: Start, text: str, log: EventLog) -> Start:
        return replace(start, position=max(start.position - 1, log.span.oldest - 1))

    return _after_cursor(change)


def beats_with_the_newest_cursor() -> Patches:
    """Progress ahead of events: what is not sent yet is skipped by whoever resumes there."""
    original = SubscribeStream._response

    def response(self: Any, frames: Any, position: int, *rest: Any, **named: Any) -> bytes:
        return original(self, frames, position if frames else self._feed.newest, *rest, **named)

    return [(SubscribeStream, "_response", response)]


def beats_where_it_stood() -> Patches:
    """Heartbeats do not move: a quiet subscriber's cursor grows old until it has expired."""
    original = Subscription.next

    async def next_(self: Any, timeout: float) -> Delivery:
        told = self.position
        delivery = await original(self, timeout)
        if not delivery.frames and delivery.loss is None and not delivery.draining:
            return replace(delivery, position=told)
        return delivery

    return [(Subscription, "next", next_)]


def drains_with_the_newest_cursor() -> Patches:
    """Ends streams with the cursor of the log instead of their own."""
    original = Subscription._delivery

    def delivery(self: Any, frames: Any, **named: Any) -> Delivery:
        made = original(self, frames, **named)
        return replace(made, position=self._feed.newest) if made.draining else made

    return [(Subscription, "_delivery", delivery)]


def drains_at_once() -> Patches:
    """Ends live streams before they have what has come."""
    return [(Feed, "lets_go", lambda self, position: self.draining)]


def stops_early() -> Patches:
    """Takes the newest event for one that is yet to come."""
    newest = property(lambda self: max(self._window.newest - 1, self._window.start))
    return [(Feed, "newest", newest)]


def ignores_filters() -> Patches:
    """Takes whatever is in the window; from the log the filter holds."""
    original = Window.after

    def after(self: Any, position: int, wanted: Filter, limit: int) -> Any:
        return original(self, position, Filter(), limit)

    return [(Window, "after", after)]


def moves_expired_cursors() -> Patches:
    """Clamps: whoever comes too late gets what is left, and never learns of the rest."""
    return _after_cursor(lambda start, text, log: Start(start.position) if start.loss else start)


def ignores_the_epoch() -> Patches:
    """Reads the number only: a cursor of another log is a place in this one."""

    def change(start: Start, text: str, log: EventLog) -> Start:
        sequence, span = Cursor.parse(text).sequence, log.span
        return Start(sequence) if span.oldest - 1 <= sequence <= span.newest else start

    return _after_cursor(change)


def takes_cursors_ahead() -> Patches:
    """Starts at the end when the cursor is beyond it."""

    def change(start: Start, text: str, log: EventLog) -> Start:
        ahead = Cursor.parse(text).sequence > log.span.newest
        return Start(log.span.newest) if ahead else start

    return _after_cursor(change)


def miscounts_at_the_opening() -> Patches:
    """Counts the oldest event that is held among those that are lost."""

    def change(start: Start, text: str, log: EventLog) -> Start:
        loss = start.loss
        if loss is None or loss.missed is None:
            return start
        return replace(start, loss=replace(loss, missed=loss.missed + 1))

    return _after_cursor(change)


def miscounts_on_the_way() -> Patches:
    """The same for readers that are overtaken."""
    original = overtaken

    def miscounted(position: int, log: EventLog, oldest: int) -> Loss:
        loss = original(position, log, oldest)
        return replace(loss, missed=(loss.missed or 0) + 1)

    return [(feed_module, "overtaken", miscounted)]


def skips_when_overtaken() -> Patches:
    """Goes on with the oldest event when retention has overtaken a reader, and says nothing."""
    original = Subscription._from_log

    async def from_log(self: Any) -> Delivery:
        return replace(await original(self), loss=None)

    return [(Subscription, "_from_log", from_log)]


def says_live_too_early() -> Patches:
    """Says live as soon as it streams."""
    original = SubscribeStream._response

    def response(self: Any, frames: Any, position: int, live: bool, *rest: Any, **it: Any) -> bytes:
        return original(self, frames, position, True, *rest, **it)

    return [(SubscribeStream, "_response", response)]


def encodes_again() -> Patches:
    """Decodes and encodes each response for each subscriber."""

    def joined(frames: Sequence[bytes], rest: bytes) -> bytes:
        return SubscribeResponse.FromString(b"".join((*frames, rest))).SerializeToString()

    return [(subscribe_module, "joined", joined)]


def wakes_everybody() -> Patches:
    """Wakes all subscribers when anything has come."""

    def concerned(self: Any) -> list[Subscription]:
        self._take_in()
        self._due.clear()
        return list(self._subscriptions)

    return [(Feed, "_concerned", concerned)]


def forgets_who_asks_in_a_pause() -> Patches:
    """Wakes nobody for what comes shortly after something else."""
    original = Rounds.ask

    def ask(self: Any) -> None:
        if self._loop().time() >= self._next_at:
            original(self)

    return [(Rounds, "ask", ask)]


def passes_by_what_is_due() -> Patches:
    """Takes whoever has not been woken yet for one for whom nothing has come."""
    return [(Feed, "_passed_by", lambda self, keys: self._window.newest)]


def forgets_what_a_round_told() -> Patches:
    """Keeps taking those for idle for whom a round had something."""
    return [(Subscription, "_concern", lambda self, passed_by: self._move(passed_by))]


def keeps_a_queue_for_each() -> Patches:
    """Puts every event into a queue of each subscriber. Nothing is lost by it but memory."""
    original = Feed._arrived

    def arrived(self: Any, entries: Sequence[Entry]) -> None:
        original(self, entries)
        for subscription in self._subscriptions:
            vars(subscription).setdefault("_queue", []).extend(entries)

    return [(Feed, "_arrived", arrived)]


def _after_cursor(change: Any) -> Patches:
    original = after_cursor

    def changed(text: str, log: EventLog, field: str) -> Start:
        start: Start = change(original(text, log, field), text, log)
        return start

    return [(subscribe_module, "after_cursor", changed)]
