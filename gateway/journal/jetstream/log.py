"""The ports on a NATS JetStream stream, put together."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import TypeVar

from gateway.journal.errors import LogOpenError, LogUnavailableError
from gateway.journal.format import EventFormat
from gateway.journal.jetstream.access import Access, StreamPlace
from gateway.journal.jetstream.ahead import StreamAhead
from gateway.journal.jetstream.api import PASSING, JetStreamApi
from gateway.journal.jetstream.appending import Appender
from gateway.journal.jetstream.arrivals import Arrivals
from gateway.journal.jetstream.broadcast import JetStreamBroadcast, subject_of
from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.bucket import Bucket
from gateway.journal.jetstream.checkpoints import JetStreamCheckpoints
from gateway.journal.jetstream.encoding import Encoding
from gateway.journal.jetstream.errors import BrokerError, RefusedError
from gateway.journal.jetstream.extent import Extent
from gateway.journal.jetstream.following import Following, agrees
from gateway.journal.jetstream.journal import JetStreamJournal
from gateway.journal.jetstream.lease import JetStreamLease, Term
from gateway.journal.jetstream.naming import own_name
from gateway.journal.jetstream.publishing import Publishing
from gateway.journal.jetstream.stream import Stream, opened_stream
from gateway.journal.moves import AS_IT_WAS, Opening
from gateway.journal.ports import EventLog
from gateway.journal.reading import Span
from gateway.journal.retention import Retention
from gateway.journal.sqlite.copy import LogCopy, open_copy
from gateway.records.commits import CommitEnded
from gateway.records.observer import Observer, ignore

# How long opening waits for the index to be up with the stream, in seconds. What takes longer goes
# on while the gateway starts.
_CATCH_UP_S = 5.0


# How long servers may take to find a leader, in seconds, and how often they are asked meanwhile.
_SERVERS_START_S = 20.0
_ASK_AGAIN_S = 0.25

R = TypeVar("R")


async def open_log(
    place: StreamPlace,
    index: Path,
    format_: EventFormat,
    limits: Retention,
    access: Access | None = None,
    observe: Observer[CommitEnded] = ignore,
    *,
    opening: Opening = AS_IT_WAS,
    term: Term | None = None,
) -> EventLog:
    """Open the log in a stream, with its index in a file; both are made where there is none.

    `limits` are those of a stream that is made here. `opening` says what it is made with, and
    whether one that does not live is opened. `observe` is told of each group of events that was
    stored. `term` is how long the lease lasts. Raises LogOpenError.
    """
    broker = await Broker.connect(place, access or Access())
    try:
        api = JetStreamApi(broker, place.stream)
        stream = await _patiently(lambda: opened_stream(api, limits, opening))
        bucket = await _patiently(lambda: Bucket.open(broker, place.stream, stream.epoch))
        return await _opened(broker, api, stream, bucket, index, format_, observe, term)
    except LogOpenError:
        await broker.close()
        raise
    except LogUnavailableError as error:
        await broker.close()
        raise LogOpenError(f"cannot open the event log {place}: {error}") from error
    except BaseException:
        await broker.close()
        raise


async def _patiently(ask: Callable[[], Awaitable[R]]) -> R:
    """Ask, and ask again while servers that have just been started are finding a leader."""
    ends = monotonic() + _SERVERS_START_S
    while True:
        try:
            return await ask()
        except BrokerError:
            if monotonic() > ends:
                raise
        except RefusedError as error:
            if error.code not in PASSING or monotonic() > ends:
                raise
        await asyncio.sleep(_ASK_AGAIN_S)


async def _opened(
    broker: Broker,
    api: JetStreamApi,
    stream: Stream,
    bucket: Bucket,
    path: Path,
    format_: EventFormat,
    observe: Observer[CommitEnded],
    term: Term | None,
) -> EventLog:
    extent, arrivals, encoding = Extent(stream.span), Arrivals(), Encoding(format_)

    async def forget(through: int) -> None:
        if through >= extent.span.oldest:
            await api.purge_through(through)
            extent.saw(Span(through + 1, through))

    copy = open_copy(path, format_, stream.epoch, forget)
    try:
        if not await _goes_on(api, copy, encoding, stream.span):
            await copy.close()
            copy = open_copy(path, format_, stream.epoch, forget, anew=True)
        if copy.index.span.oldest < stream.span.oldest:
            await copy.begin_after(stream.span.oldest - 1)
        following = Following(broker, api, copy, encoding, extent, arrivals)
        following.start()
        framing = format_.framing_of(stream.epoch)
        ahead = StreamAhead(broker, api, copy.index, following, encoding, framing, extent)
    except BaseException:
        await copy.close()
        raise
    appender = Appender(Publishing(broker, api), observe)
    name = own_name()
    broadcast = JetStreamBroadcast(broker, subject_of(api.stream, stream.epoch), name)

    async def close() -> None:
        await appender.close()
        await broadcast.close()
        arrivals.close()
        await ahead.close()
        await following.close()
        await broker.close()
        await copy.close()

    try:
        await broadcast.open()
        await following.filled_within(_CATCH_UP_S)
    except BaseException:
        await close()
        raise
    return EventLog(
        "jetstream",
        JetStreamJournal(
            api.stream,
            stream.epoch,
            appender,
            encoding,
            extent,
            arrivals,
            lambda: min(broker.payload_max, stream.message_max),
            lambda: broker.problem or following.problem or following.moved,
        ),
        copy.index,
        JetStreamCheckpoints(bucket),
        broadcast,
        JetStreamLease(bucket, "backfill", name, term),
        close,
        stream.retention,
        following,
        ahead,
        str(stream.durability),
    )


async def _goes_on(api: JetStreamApi, copy: LogCopy, encoding: Encoding, span: Span) -> bool:
    """Return whether the stream is what the index was made of, and goes on where that ends."""
    return copy.index.span.newest <= span.newest and await agrees(api, copy, encoding)
