"""Ahead: what comes at the stream's end is told at once, while the index fills from the beginning.

An index has no holes, so one that was empty has the newest events last, minutes after it has begun.
Streams that follow live need not wait for that. A second pull begins where the stream ends, and
tells what it brings to the same listener as the index does. Why nothing is lost, comes twice or is
another event thereby:

* A number stands for one message of one stream, and an entry is made of number and message alone,
  by the framing that the index uses. So it does not matter who tells of a number first; the
  listener passes over what it was told already.
* Each of the two tells of numbers in their order, and leaves out only those that the stream has
  lost. So whoever has been told of a number, and is told of a later one that is not the next,
  knows that those between are gone: for the index, too.
* This ends only when the index has everything that was told here. From then on the index alone
  tells, and goes on with the very next number.
* Readers who are not so far, or have fallen out of what is held in memory, read from the index. It
  gets each number that was told here, or drops it with all before, of which readers hear.

Signed bytes, searches and look-ups are the index's alone, and wait for it.

It ends for good when the log begins anew: what it was told of stands for other events then, and the
new log is the index's alone.

One thing is not noticed: a stream of the same identity that is set back (restored from a backup)
while the index is being filled, before that has come so far. Its numbers are given again then, and
those told here before stand for other events.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

from gateway.journal.errors import LogUnavailableError
from gateway.journal.events import Entry, Framed
from gateway.journal.format import FramingOf
from gateway.journal.jetstream.api import JetStreamApi
from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.encoding import Encoding, ForeignMessageError
from gateway.journal.jetstream.extent import Extent
from gateway.journal.jetstream.following import Following
from gateway.journal.jetstream.pulling import Delivered, Pull
from gateway.journal.jetstream.stream import epoch_of
from gateway.journal.ports import Index, Listener

# How often to see whether the index has come here while nothing comes, in seconds.
_LOOK_EVERY_S = 0.5

# How long to wait before what went wrong is tried again, in seconds.
_AGAIN_S = 0.5


class StreamAhead:
    """An `Ahead` of a stream, whose index is fed by `following`. `close` ends it."""

    def __init__(
        self,
        broker: Broker,
        api: JetStreamApi,
        index: Index,
        following: Following,
        encoding: Encoding,
        framing_of: FramingOf,
        extent: Extent,
    ) -> None:
        self._broker = broker
        self._api = api
        self._index = index
        self._following = following
        self._encoding = encoding
        self._framing_of = framing_of
        self._extent = extent
        self._newest = 0
        self._framing = framing_of(index.epoch)
        self._pull: Pull | None = None
        self._work: asyncio.Task[None] | None = None
        broker.when_lost(self._lost)
        following.when_begun_anew(self._end)

    @property
    def is_told(self) -> bool:
        """See `Ahead.is_told`."""
        return self._pull is not None

    def place(self) -> int | None:
        """See `Ahead.place`."""
        if self._following.lag is None:
            return None
        self._newest = max(self._extent.span.newest, self._index.span.newest)
        return self._newest

    def begin(self, listener: Listener) -> None:
        """See `Ahead.begin`."""
        self._framing = self._framing_of(self._index.epoch)
        self._work = asyncio.create_task(self._run(listener))

    async def close(self) -> None:
        """Tell no more."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])

    @property
    def _is_due(self) -> bool:
        return self._index.span.newest < self._newest

    async def _run(self, listener: Listener) -> None:
        while self._is_due:
            # Whatever is wrong here is wrong where the index is fed, which tells of it.
            with contextlib.suppress(LogUnavailableError):
                await self._follow(listener)
            await asyncio.sleep(_AGAIN_S)

    async def _follow(self, listener: Listener) -> None:
        info = await self._api.info()
        if (
            info is None
            or epoch_of(info.config) != self._index.epoch
            or info.span.newest < self._newest
        ):
            raise LogUnavailableError("the stream is another one, or has lost its end")
        pull = await Pull.begin(self._broker, self._api, self._newest)
        self._pull = pull
        try:
            while self._is_due:
                for run in _runs(await pull.next(_LOOK_EVERY_S)):
                    self._take(run, listener)
        finally:
            self._pull = None
            await pull.close()

    def _take(self, run: Sequence[Delivered], listener: Listener) -> None:
        entries = [self._entry(it) for it in run if it.sequence > self._newest]
        if entries:
            self._newest = entries[-1].framed.sequence
            self._extent.reaches(run[-1].sequence + run[-1].left)
            listener(entries)

    def _entry(self, message: Delivered) -> Entry:
        try:
            event = self._encoding.decoded(message.data)
        except ForeignMessageError:
            raise LogUnavailableError(f"message {message.sequence} cannot be read") from None
        frame = b"".join(self._framing.frame(message.sequence, event.body))
        return Entry(Framed(message.sequence, frame), event.keys, event.received_at_us)

    def _end(self) -> None:
        # It tells nothing more: a task that is cancelled does not go on.
        self._newest = 0
        if self._work is not None:
            self._work.cancel()

    def _lost(self) -> None:
        if self._pull is not None:
            self._pull.lose()


def _runs(messages: Sequence[Delivered]) -> Iterator[Sequence[Delivered]]:
    """Yield messages whose numbers follow one another together."""
    first = 0
    for at in range(1, len(messages) + 1):
        if at == len(messages) or messages[at].sequence != messages[at - 1].sequence + 1:
            yield messages[first:at]
            first = at
