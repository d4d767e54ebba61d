"""The ports on a NATS JetStream stream, put together."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import TypeVar

from gateway.journal.errors import LogOpenError
from gateway.journal.format import EventFormat
from gateway.journal.jetstream.access import Access, StreamPlace
from gateway.journal.jetstream.ahead import StreamAhead
from gateway.journal.jetstream.api import PASSING, JetStreamApi
from gateway.journal.jetstream.appending import Appender
from gateway.journal.jetstream.arrivals import Arrivals
from gateway.journal.jetstream.broadcast import JetStreamBroadcast
from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.bucket import Bucket
from gateway.journal.jetstream.checkpoints import JetStreamCheckpoints
from gateway.journal.jetstream.durability import UNKNOWN
from gateway.journal.jetstream.encoding import Encoding
from gateway.journal.jetstream.errors import BrokerError, RefusedError
from gateway.journal.jetstream.extent import Extent
from gateway.journal.jetstream.following import Following
from gateway.journal.jetstream.journal import JetStreamJournal
from gateway.journal.jetstream.lease import JetStreamLease, Term
from gateway.journal.jetstream.lookout import Lookout
from gateway.journal.jetstream.naming import own_name
from gateway.journal.jetstream.patience import USUAL, Patience
from gateway.journal.jetstream.publishing import Publishing
from gateway.journal.jetstream.standing_copy import StandingCopy
from gateway.journal.jetstream.stream import Stream, opened_stream
from gateway.journal.moves import AS_IT_WAS, Opening
from gateway.journal.ports import EPOCH_BYTES, EventLog
from gateway.journal.reading import Span
from gateway.journal.retention import Retention
from gateway.journal.sqlite.copy import epoch_of_copy
from gateway.records.commits import CommitEnded
from gateway.records.observer import Observer, ignore

# How long opening waits for servers to find a leader, in seconds, and how often they are asked
# meanwhile. What takes longer goes on, too.
_SERVERS_START_S = 20.0
_ASK_AGAIN_S = 0.25

R = TypeVar("R")

_log = logging.getLogger(__name__)


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
    waits: bool = True,
    patience: Patience = USUAL,
) -> EventLog:
    """Open the log in a stream, with its index in a file; both are made where there is none.

    Where it `waits` for the broker it is opened without it all the same, with the index as it is:
    nothing can be stored until the broker is there. `limits` are those of a stream that is made
    here. `opening` says what it is made with, and whether one that does not live is opened.
    `observe` is told of each group of events that was stored. `term` is how long the lease lasts,
    `patience` what is waited for how long.
    Raises LogOpenError, also for a broker that lets nobody in and a stream that cannot be a log.
    """
    connect = Broker.connect if waits else Broker.connect_now
    broker = await connect(place, access or Access())
    try:
        api = JetStreamApi(broker, place.stream)
        stream = await _patiently(api, lambda: opened_stream(api, limits, opening))
        if stream is None and not waits:
            raise LogOpenError(f"cannot open the event log {place}: its servers do not respond")
        if stream is None:
            _log.warning("the event log %s is not there yet, and is waited for", place)
        else:
            epoch = stream.epoch
            await _patiently(api, Bucket(broker, place.stream, lambda: epoch).make)
        return await _opened(
            broker, api, stream, index, format_, limits, observe, opening, term, patience
        )
    except RefusedError as error:
        await broker.close()
        raise LogOpenError(f"cannot open the event log {place}: {error}") from error
    except BaseException:
        await broker.close()
        raise


async def _patiently(api: JetStreamApi, ask: Callable[[], Awaitable[R]]) -> R | None:
    """Ask; return None if there is nobody to respond.

    Servers that have just been started are asked again, while they find a leader.
    """
    ends = monotonic() + _SERVERS_START_S
    while api.is_within_reach and monotonic() < ends:
        try:
            return await ask()
        except BrokerError:
            pass
        except RefusedError as error:
            if error.code not in PASSING:
                raise
        await asyncio.sleep(_ASK_AGAIN_S)
    return None


async def _opened(
    broker: Broker,
    api: JetStreamApi,
    stream: Stream | None,
    path: Path,
    format_: EventFormat,
    limits: Retention,
    observe: Observer[CommitEnded],
    opening: Opening,
    term: Term | None,
    patience: Patience,
) -> EventLog:
    known = epoch_of_copy(path) if stream is None else stream.epoch

    async def forget(through: int) -> None:
        if through >= extent.span.oldest:
            await api.purge_through(through)
            extent.saw(Span(through + 1, through))

    # Without a stream and without a copy it is of a log that nobody has, until there is a stream.
    copy = StandingCopy(path, format_, known or secrets.token_bytes(EPOCH_BYTES), forget)

    def epoch() -> bytes:
        return copy.epoch

    extent = Extent(copy.span if stream is None else stream.span)
    arrivals, encoding = Arrivals(), Encoding(format_)
    lookout = Lookout(api, copy, encoding, limits, stream, opening, patience=patience)
    appender = Appender(Publishing(broker, api), observe)
    name, bucket = own_name(), Bucket(broker, api.stream, epoch)
    broadcast = JetStreamBroadcast(broker, api.stream, epoch, name)
    try:
        # Nobody is to read what the stream has deleted meanwhile.
        if stream is not None and copy.span.newest <= stream.span.newest:
            await copy.begin_after(stream.span.oldest - 1)
        following = Following(broker, api, copy, lookout, encoding, extent, arrivals, patience)
        ahead = StreamAhead(broker, api, copy, following, encoding, format_.framing_of, extent)
        following.start(settled=known is not None)
    except BaseException:
        await copy.close()
        raise

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
        if stream is not None:
            await following.filled_within(patience.catch_up_s)
    except BaseException:
        await close()
        raise
    return EventLog(
        "jetstream",
        JetStreamJournal(
            api.stream,
            epoch,
            appender,
            encoding,
            extent,
            arrivals,
            lambda: min(broker.payload_max, lookout.message_max),
            lambda: broker.problem or following.problem or lookout.moved,
            lambda: lookout.objection,
        ),
        copy,
        JetStreamCheckpoints(bucket),
        broadcast,
        JetStreamLease(bucket, "backfill", name, term),
        close,
        limits if stream is None else stream.retention,
        following,
        ahead,
        UNKNOWN if stream is None else str(stream.durability),
    )
