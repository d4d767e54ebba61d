"""Subscribe: a stream of stored bytes, with a cursor in every response."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple

from grpc import StatusCode

from conferencing.v1.event_service_pb2 import (
    DRAIN_REASON_MAX_AGE,
    DRAIN_REASON_SHUTDOWN,
    GAP_POLICY_CONTINUE,
    POSITION_EARLIEST,
    Drain,
    Gap,
    GapReason,
    SubscribeRequest,
    SubscribeResponse,
)
from gateway.bytebudget import ByteBudget
from gateway.details import FieldViolation
from gateway.feed.batch import BATCH_BYTES_MAX
from gateway.feed.errors import EventsLostError
from gateway.feed.feed import Feed
from gateway.feed.frames import joined
from gateway.feed.raw import framed_with_raw
from gateway.feed.start import Loss, Start, of_one_log
from gateway.feed.subscription import Subscription
from gateway.journal.cursor import CursorFormatError, Cursors
from gateway.journal.errors import LogUnavailableError
from gateway.journal.filter import Filter
from gateway.journal.lag import Lag
from gateway.journal.reading import Batch
from gateway.server.call import SMALL_RESPONSE_BYTES, Call
from gateway.server.errors import GatewayError, invalid_argument
from gateway.server.losses import lost
from gateway.server.services.filters import FilterReader
from gateway.server.services.lags import message_of
from gateway.server.services.requests import microseconds, read_heartbeat
from gateway.server.services.stream_times import StreamTimes
from gateway.server.statuses import OVERLOAD_RETRY_S

# What the filters of all open streams may hold together, in bytes: those of a thousand streams with
# 150 ids each. A budget of their own, because streams stay: they must not take from requests what
# these need for a moment.
FILTERS_BYTES_MAX = 64 * 1024 * 1024

BATCH_DEFAULT = 256
BATCH_MAX = 1_000

# With their signed bytes events are read and sent in smaller lots: one may take half a megabyte.
RAW_LOT = 16

# What a caller can do about events that are lost.
_WAY_ON = (
    "subscribe with position = POSITION_EARLIEST or after the oldest_cursor in the details, or with"
    " on_gap = GAP_POLICY_CONTINUE to have the gap reported in the stream"
)


# How long a cursor is waited for that another replica knows and this one does not yet, in seconds.
# A replica follows within milliseconds; one that is further behind is not ready.
AHEAD_S = 5.0


class _State(NamedTuple):
    """How a stream stands: whether it is live, and how far its gateway is behind."""

    live: bool
    lag: Lag | None = None


@dataclass(frozen=True, slots=True)
class _Options:
    wanted: Filter
    times: StreamTimes
    batch_max: int
    include_raw: bool
    bounded: bool
    skips_losses: bool


class SubscribeStream:
    """Serves Subscribe. `age_max_s` is how long one stream stays open, in seconds.

    `filters` is what the filters of all open streams may hold together.
    """

    def __init__(
        self,
        feed: Feed,
        age_max_s: float,
        random_: random.Random,
        now: Callable[[], float] = monotonic,
        filters: ByteBudget | None = None,
    ) -> None:
        self._feed = feed
        self._age_max_s = age_max_s
        self._random = random_
        self._now = now
        self._reader = FilterReader(feed.keys)
        self._filters = filters or ByteBudget(FILTERS_BYTES_MAX)
        # The last batch that was encoded, for whom, and how: most often the next subscriber's, too.
        self._last: tuple[Batch | None, _State, bytes] = (None, _State(live=False), b"")

    async def subscribe(self, call: Call[SubscribeRequest]) -> None:
        """Write responses until the caller goes, the log ends it, or the server drains."""
        request = call.message
        options = self._read(request)
        # gRPC keeps the request's bytes until the stream ends, and so the stream pays for both.
        # What its caller may see is a part of the filter that it is woken by.
        size = request.ByteSize() + options.wanted.within(call.visible).size_bytes
        call.allowance.keep_filter(size)
        if not self._filters.try_take(size):
            raise _no_room(size)
        try:
            start = await self._start(request, call.time_remaining())
            del request
            call.release_message()
            await self._follow(start, options, call)
        finally:
            self._filters.give_back(size)

    async def _follow(self, start: Start, options: _Options, call: Call[Any]) -> None:
        if start.loss is not None and not options.skips_losses:
            raise lost(self._feed.lost(start.loss), _WAY_ON)
        ends_at = self._now() + options.times.age_max_s
        gap = self._gap(start.loss) if start.loss else None
        with self._feed.subscribe(
            options.wanted, call.visible, start.position, options.batch_max
        ) as subscription:
            subscription.caller = call.caller.name
            call.when_let_go(subscription.let_go)
            subscription.needs_index = options.include_raw
            bound, lag, cursors = self._feed.end, self._feed.lag, subscription.cursors
            # With the loss in it, if there is one: the cursor stands behind it already.
            cursor = cursors.text(start.position)
            await call.write(self._response((), cursor, self._state(subscription), gap=gap))
            while not (options.bounded and subscription.position >= bound):
                left = ends_at - self._now()
                if left <= 0:
                    drain = Drain(reason=DRAIN_REASON_MAX_AGE)
                    cursor = cursors.text(subscription.position)
                    await call.write(self._response((), cursor, self._state(subscription), drain))
                    return
                if subscription.is_behind:
                    await call.prepare()
                timeout = min(options.times.heartbeat_s, left)
                await call.write(await self._next(subscription, timeout, options, call))
                if subscription.cursors is not cursors:
                    bound, lag, cursors = self._feed.end, self._feed.lag, subscription.cursors
                if subscription.drained:
                    return
            if lag is not None and lag.is_cut_off:
                raise LogUnavailableError(
                    "all events that this gateway has are delivered; it could not read the log when"
                    " the stream began, which may have had more"
                )

    async def _next(
        self, subscription: Subscription, timeout: float, options: _Options, call: Call[Any]
    ) -> bytes:
        """Return the next response; raises GatewayError for events that are lost."""
        try:
            batch = await subscription.next(timeout)
        except EventsLostError as error:
            if not options.skips_losses:
                raise lost(error, _WAY_ON) from None
            gap = self._gap(error.loss)
            cursor = subscription.cursors.text(subscription.position)
            return self._response((), cursor, self._state(subscription), gap=gap)
        # Of the log that the batch is of: there may be another one before it is written.
        cursors, state = subscription.cursors, self._state(subscription)
        if subscription.drained:
            drain = Drain(reason=DRAIN_REASON_SHUTDOWN)
            return self._response((), cursors.text(batch.through), state, drain)
        if options.include_raw:
            batch = await self._write_raw(batch, cursors, state, call)
        return await self._encoded(batch, cursors, state, call)

    def _state(self, subscription: Subscription) -> _State:
        lag = self._feed.lag_of(subscription)
        return _State(subscription.live and lag is None, lag)

    def _read(self, request: SubscribeRequest) -> _Options:
        violations: list[FieldViolation] = []
        wanted = self._reader.read(request.filter, violations)
        if violations:
            raise invalid_argument(violations)
        given = request.heartbeat_interval if request.HasField("heartbeat_interval") else None
        times = StreamTimes(read_heartbeat(given), self._age_max_s).jittered(self._random)
        batch_max = min(request.max_batch_events or BATCH_DEFAULT, BATCH_MAX)
        return _Options(
            wanted,
            times,
            min(batch_max, RAW_LOT) if request.include_raw else batch_max,
            request.include_raw,
            request.stop_when_caught_up,
            request.on_gap == GAP_POLICY_CONTINUE,
        )

    async def _start(self, request: SubscribeRequest, left_s: float | None) -> Start:
        match request.WhichOneof("start"):
            case "after_cursor":
                try:
                    patience_s = AHEAD_S if left_s is None else min(AHEAD_S, left_s / 2)
                    return await self._feed.start_after(request.after_cursor, patience_s)
                except CursorFormatError as error:
                    raise invalid_argument([FieldViolation("after_cursor", str(error))]) from None
            case "since":
                return await self._feed.since(microseconds(request.since))
            case "position" if request.position == POSITION_EARLIEST:
                return Start(self._feed.oldest - 1)
        return Start(self._feed.end)

    async def _write_raw(
        self, batch: Batch, cursors: Cursors, state: _State, call: Call[Any]
    ) -> Batch:
        """Return a batch with the signed bytes in it.

        They may make too much of it for one response: all but the last lot are written.
        """
        rest = batch.frames
        while True:
            await call.prepare()
            with of_one_log(self._feed.index, cursors.epoch):
                framed = await framed_with_raw(self._feed.index, rest, BATCH_BYTES_MAX, None)
            if len(framed) == len(rest):
                return Batch(framed, batch.through)
            frames = [it.frame for it in framed]
            cursor = cursors.text(framed[-1].sequence)
            await call.write(self._response(frames, cursor, state))
            rest = rest[len(framed) :]

    async def _encoded(
        self, batch: Batch, cursors: Cursors, state: _State, call: Call[Any]
    ) -> bytes:
        last, last_state, encoded = self._last
        if last is batch and last_state == state:
            return encoded
        if sum(len(it.frame) for it in batch.frames) > SMALL_RESPONSE_BYTES:
            await call.prepare()
        cursor = cursors.text(batch.through)
        encoded = self._response([it.frame for it in batch.frames], cursor, state)
        self._last = (batch, state, encoded)
        return encoded

    def _response(
        self,
        frames: Sequence[bytes],
        cursor: str,
        state: _State,
        drain: Drain | None = None,
        gap: Gap | None = None,
    ) -> bytes:
        rest = SubscribeResponse(
            cursor=cursor,
            live=state.live,
            drain=drain,
            gap=gap,
            lag=message_of(state.lag),
        )
        return joined(frames, rest.SerializeToString())

    def _gap(self, loss: Loss) -> Gap:
        return Gap(
            from_cursor=loss.from_cursor,
            to_cursor=self._feed.cursor(loss.position),
            missed_events=loss.missed or 0,
            reason=GapReason.Value(f"GAP_REASON_{loss.reason.name}"),
        )


def _no_room(size: int) -> GatewayError:
    return GatewayError(
        StatusCode.RESOURCE_EXHAUSTED,
        "GATEWAY_OVERLOADED",
        f"the filters of all open streams leave no room for this one of {size} bytes: use fewer"
        " values",
        retry_after=OVERLOAD_RETRY_S,
        refusal="NO_ROOM_FOR_FILTER",
    )
