"""Following: the stream's events go into the index of this gateway, in order and without a hole.

It takes up where the index ends. A number that is missing has been deleted: the index then begins
after it, so that whoever has not read it yet is told. It never ends by itself: what goes wrong is
tried again, and is the index's problem meanwhile.
"""

import asyncio
import logging
from collections.abc import Sequence
from time import monotonic

from gateway.journal.errors import LogUnavailableError
from gateway.journal.events import NewEvent
from gateway.journal.filter import EVERYTHING
from gateway.journal.jetstream.api import JetStreamApi
from gateway.journal.jetstream.arrivals import Arrivals
from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.encoding import Encoding, ForeignMessageError
from gateway.journal.jetstream.extent import Extent
from gateway.journal.jetstream.pulling import Delivered, Pull
from gateway.journal.jetstream.stream import epoch_of, marks_in
from gateway.journal.lag import Lag
from gateway.journal.moves import AS_IT_WAS
from gateway.journal.sqlite.copy import LogCopy

# How often the stream is asked what it holds, in seconds: its limits delete without a word.
_LOOK_EVERY_S = 5.0

# One event, however large.
_ANY_BYTES = 2**40

# How long to wait before what went wrong is tried again, in seconds.
_AGAIN_S = 0.5

_log = logging.getLogger(__name__)


class Following:
    """Feeds one index. `extent` is told what the stream holds, `arrivals` how far the index is."""

    def __init__(
        self,
        broker: Broker,
        api: JetStreamApi,
        copy: LogCopy,
        encoding: Encoding,
        extent: Extent,
        arrivals: Arrivals,
    ) -> None:
        self._broker = broker
        self._api = api
        self._copy = copy
        self._encoding = encoding
        self._extent = extent
        self._arrivals = arrivals
        self._pull: Pull | None = None
        self._looked_at = 0.0
        self._work: asyncio.Task[None] | None = None
        self.problem: str | None = None
        # Where the log has gone, in words: what is left of it here is followed to its end.
        self.moved: str | None = None
        # What the stream had when it was first, or again, to be followed.
        self._wanted = extent.span.newest
        arrivals.moved(self._newest)
        broker.when_lost(self._lost)

    def start(self) -> None:
        """Begin to follow."""
        self._work = asyncio.create_task(self._run())

    @property
    def lag(self) -> Lag | None:
        """See `Copying.lag`."""
        if self.problem is None and self._newest >= self._wanted:
            return None
        return Lag(self.behind, self.held, self.problem is not None)

    @property
    def held(self) -> int:
        """See `Copying.held`."""
        return self._extent.span.count

    @property
    def behind(self) -> int:
        """See `Copying.behind`."""
        return max(self._extent.span.newest - self._newest, 0)

    async def filled(self) -> None:
        """See `Copying.filled`."""
        while not await self.filled_within(_LOOK_EVERY_S):
            if self._arrivals.is_closed:
                raise LogUnavailableError("the event log is closed")

    async def filled_within(self, seconds: float) -> bool:
        """Wait for that, no longer than some seconds; return whether it is so."""
        return await self._arrivals.until(self._wanted, seconds)

    async def reach(self, sequence: int, within_s: float) -> None:
        """See `Copying.reach`."""
        if sequence > self._extent.span.newest:
            info = await self._api.info()
            if info is not None and epoch_of(info.config) == self._copy.index.epoch:
                self._extent.saw(info.span)
        if sequence <= self._extent.span.newest and not await self._arrivals.until(
            sequence, within_s
        ):
            raise LogUnavailableError(
                f"event {sequence} is not in the index of this gateway yet, which is"
                f" {self.behind} events behind the stream {self._api.stream}"
            )

    async def close(self) -> None:
        """Follow no more."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])

    @property
    def _newest(self) -> int:
        return self._copy.index.span.newest

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
            except LogUnavailableError as error:
                problem = str(error)
            except Exception as error:  # whatever it was, it is tried again
                _log.exception("the event log cannot be followed")
                problem = f"the event log cannot be followed: {error!r}"
            if problem != self.problem:
                _log.warning("the index is not fed: %s", problem)
            self.problem = problem
            await asyncio.sleep(_AGAIN_S)

    async def _follow(self) -> None:
        """Follow until something goes wrong."""
        await self._look()
        self._wanted = self._extent.span.newest
        await self._must_agree()
        self._pull = pull = await Pull.begin(self._broker, self._api, self._newest)
        self.problem = None
        try:
            while True:
                messages = await pull.next(_LOOK_EVERY_S)
                if messages:
                    await self._take(messages)
                if monotonic() - self._looked_at > _LOOK_EVERY_S:
                    await self._look()
        finally:
            self._pull = None
            await pull.close()

    async def _look(self) -> None:
        """See what the stream holds, and drop what it has dropped."""
        info = await self._api.info()
        if info is None:
            raise LogUnavailableError(f"the stream {self._api.stream} is not there any more")
        if epoch_of(info.config) != self._copy.index.epoch:
            raise LogUnavailableError(
                f"the stream {self._api.stream} is another one than it was: restart the gateway"
            )
        if info.span.newest < self._newest:
            raise LogUnavailableError(
                f"the stream {self._api.stream} ends at {info.span.newest}, and {self._newest} has"
                " been read of it: if that stays so, it has lost events, and the gateway must be"
                " restarted"
            )
        self._looked_at = monotonic()
        self.moved = AS_IT_WAS.refusal(marks_in(info.config), self._api.stream)
        self._extent.saw(info.span)
        if self._newest < self._wanted:
            _log.info("the index lacks %d of %d events", self.behind, info.span.count)
        await self._begin_after(info.span.oldest - 1)

    async def _must_agree(self) -> None:
        """Raise LogUnavailableError if the stream's event at the end of the index is another."""
        if not await agrees(self._api, self._copy, self._encoding):
            raise LogUnavailableError(
                f"the stream {self._api.stream} has another event with number {self._newest} than"
                " was read of it: restart the gateway"
            )

    async def _take(self, messages: Sequence[Delivered]) -> None:
        come = [it for it in messages if it.sequence > self._newest]
        while come:
            if come[0].sequence != self._newest + 1:
                await self._skip(come[0].sequence)
            run = _contiguous(come)
            await self._store(run)
            come = come[len(run) :]
        last = messages[-1]
        self._extent.reaches(last.sequence + last.left)
        self._arrivals.moved(self._newest)

    async def _store(self, run: Sequence[Delivered]) -> None:
        first, events = run[0].sequence, [self._event(it) for it in run]
        if await self._copy.take(first, events):
            return
        # An id comes again when its event has been deleted: here, too.
        await self._look()
        left = self._newest + 1 - first
        if 0 <= left < len(events) and await self._copy.take(self._newest + 1, events[left:]):
            return
        raise LogUnavailableError(
            f"the stream {self._api.stream} has an id twice, at {first} or up to"
            f" {len(events)} later: no gateway stores that"
        )

    async def _skip(self, number: int) -> None:
        """Go on with a number that is not the next."""
        missing = self._newest + 1
        await self._look()
        if self._newest + 1 < number:
            _log.error(
                "%s lacks the events from %d to %d: the log begins after them now",
                self._api.stream,
                missing,
                number - 1,
            )
            await self._begin_after(number - 1)

    async def _begin_after(self, number: int) -> None:
        if self._copy.index.span.oldest <= number:
            await self._copy.begin_after(number)
            self._arrivals.moved(self._newest)

    def _event(self, message: Delivered) -> NewEvent:
        try:
            return self._encoding.decoded(message.data)
        except ForeignMessageError as error:
            raise LogUnavailableError(
                f"message {message.sequence} of the stream {self._api.stream} cannot be read:"
                f" {error}"
            ) from None

    def _lost(self) -> None:
        if self._pull is not None:
            self._pull.lose()


async def agrees(api: JetStreamApi, copy: LogCopy, encoding: Encoding) -> bool:
    """Return whether the stream has the event that the index ends with.

    Or whether that cannot be told: the index is empty, or the stream has deleted the event. Raises
    LogUnavailableError.
    """
    newest = await copy.index.recent(1, _ANY_BYTES)
    if not newest:
        return True
    message = await api.message(seq=newest[0].framed.sequence)
    if message is None:
        return True
    try:
        event = encoding.decoded(message.data)
    except ForeignMessageError:
        return False
    held = await copy.index.find(event.id, EVERYTHING)
    return held is not None and (held.frame, held.raw) == (newest[0].framed.frame, event.raw)


def _contiguous(messages: Sequence[Delivered]) -> Sequence[Delivered]:
    """Return the first messages whose numbers follow one another."""
    for count, message in enumerate(messages):
        if message.sequence != messages[0].sequence + count:
            return messages[:count]
    return messages
