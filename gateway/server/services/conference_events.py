"""The events of watched conferences, from the feed."""

from collections.abc import Iterator
from contextlib import contextmanager

from conferencing.v1.event_pb2 import Event
from gateway.conference.ports import CONFERENCE_KEY, EventBatch
from gateway.feed.errors import EventsLostError
from gateway.feed.feed import Feed
from gateway.feed.frames import event_of
from gateway.feed.subscription import Subscription
from gateway.journal.filter import Filter
from gateway.server.losses import lost
from gateway.server.services.subscribe import BATCH_DEFAULT

# What a caller can do about events that are lost.
_WAY_ON = "watch again: the first response has the whole state"


class FeedEvents:
    """Follows conferences in a feed, as far as callers may see them."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    @contextmanager
    def following(self, conference_id: str, visible: Filter) -> Iterator["ConferenceSubscription"]:
        """See `EventSource.following`."""
        feed = self._feed
        wanted = Filter.of(feed.keys, {CONFERENCE_KEY: [conference_id]})
        with feed.subscribe(wanted, visible, feed.newest, BATCH_DEFAULT) as subscription:
            yield ConferenceSubscription(subscription)


class ConferenceSubscription:
    """A subscription to one conference, whose events are decoded."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    @property
    def position(self) -> int:
        """The subscription's position."""
        return self._subscription.position

    def interrupt(self) -> None:
        """See `Subscription.interrupt`."""
        self._subscription.interrupt()

    def let_go(self) -> None:
        """See `Subscription.let_go`."""
        self._subscription.let_go()

    async def next(self, timeout: float) -> EventBatch:
        """Return what comes next, or after `timeout` seconds an empty batch.

        Raises LogUnavailableError, and GatewayError (OUT_OF_RANGE) for events that are lost.
        """
        try:
            batch = await self._subscription.next(timeout)
        except EventsLostError as error:
            raise lost(error, _WAY_ON) from None
        events = [Event.FromString(event_of(it.frame)) for it in batch.frames]
        return EventBatch(events, self._subscription.drained)
