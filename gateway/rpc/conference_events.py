"""The events of watched conferences, from the feed."""

from collections.abc import Iterator
from contextlib import contextmanager

from conferencing.v1.event_pb2 import Event
from gateway.conference.ports import EventBatch
from gateway.feed.feed import Feed, Subscription
from gateway.journal.filter import Filter
from gateway.feed.frames import event_of
from gateway.feed.start import Start, loss_error
from gateway.rpc.subscribe import BATCH_DEFAULT

# What a caller can do about events that are lost.
_WAY_ON = "watch again: the first response has the whole state"


class FeedEvents:
    """Follows conferences in a feed."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    @contextmanager
    def following(self, conference_id: str) -> Iterator["ConferenceSubscription"]:
        """See `EventSource.following`."""
        feed = self._feed
        wanted = Filter.of(feed.keys, {"conference_id": [conference_id]})
        with feed.subscribe(wanted, Start(feed.newest), BATCH_DEFAULT) as subscription:
            yield ConferenceSubscription(feed, subscription)


class ConferenceSubscription:
    """A subscription to one conference, whose events are decoded."""

    def __init__(self, feed: Feed, subscription: Subscription) -> None:
        self._feed = feed
        self._subscription = subscription

    @property
    def position(self) -> int:
        """The subscription's position."""
        return self._subscription.position

    def interrupt(self) -> None:
        """See `Subscription.interrupt`."""
        self._subscription.interrupt()

    async def next(self, timeout: float) -> EventBatch:
        """Return what comes next, or after `timeout` seconds an empty batch.

        Raises LogUnavailableError, and GatewayError (OUT_OF_RANGE) for events that are lost.
        """
        delivery = await self._subscription.next(timeout)
        if delivery.loss is not None:
            raise loss_error(delivery.loss, self._feed.log, _WAY_ON)
        events = [Event.FromString(event_of(it.frame)) for it in delivery.frames]
        return EventBatch(events, delivery.draining)
