"""Following: the stream's events go into the index of this gateway, in order and without a hole.

It takes up where the index ends. A number that is missing has been deleted: the index then begins
after it, so that whoever has not read it yet is told. It never ends by itself: what goes wrong is
tried again, and is the index's problem meanwhile. What is wrong with the stream itself the lookout
sees to.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from time import monotonic

from gateway.journal.errors import LogUnavailableError
from gateway.journal.events import NewEvent
from gateway.journal.jetstream.api import JetStreamApi
from gateway.journal.jetstream.arrivals import Arrivals
from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.encoding import Encoding, ForeignMessageError
from gateway.journal.jetstream.extent import Extent
from gateway.journal.jetstream.lookout import Lookout
from gateway.journal.jetstream.patience import USUAL, Patience
from gateway.journal.jetstream.pulling import Delivered, Pull
from gateway.journal.jetstream.standing_copy import StandingCopy
from gateway.journal.jetstream.stream import epoch_of
from gateway.journal.lag import Lag

# So many events are still to come when an index is being filled, rather than up with the stream.
_MANY = 2_000

# How long to wait before what went wrong is tried again, in seconds.
_AGAIN_S = 0.5

_log = logging.getLogger(__name__)


class Following:
    """Feeds one index. `extent` is told what the stream holds, `arrivals` how far the index is."""

    def __init__(
        self,
        broker: Broker,
        api: JetStreamApi,
        copy: StandingCopy,
        lookout: Lookout,
        encoding: Encoding,
        extent: Extent,
        arrivals: Arrivals,
        patience: Patience = USUAL,
    ) -> None:
        self._look_every_s = patience.look_every_s
        self._broker = broker
        self._api = api
        self._copy = copy
        self._lookout = lookout
        self._encoding = encoding
        self._extent = extent
        self._arrivals = arrivals
        self._pull: Pull | None = None
        self._looked_at = 0.0
        self._work: asyncio.Task[None] | None = None
        self.problem = lookout.objection
        # Whether it is known of which log the index is.
        self._settled = asyncio.Event()
        # What the stream had when it was first, or again, to be followed.
        self._wanted = extent.span.newest
        # The epoch of the log whose messages come, None while none do.
        self._epoch: bytes | None = None
        arrivals.moved(self._newest)
        copy.when_begun_anew(self._begin_anew)
        broker.when_lost(self._lost)

    def start(self, *, settled: bool) -> None:
        """Begin to follow. `settled` is whether it is known already of which log the index is."""
        if settled:
            self._settled.set()
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

    def when_begun_anew(self, told: Callable[[], None]) -> None:
        """See `Copying.when_begun_anew`."""
        self._copy.when_begun_anew(told)

    async def settled(self) -> None:
        """See `Copying.settled`."""
        await self._settled.wait()

    async def filled(self) -> None:
        """See `Copying.filled`."""
        while not await self.filled_within(self._look_every_s):
            if self._arrivals.is_closed:
                raise LogUnavailableError("the event log is closed")

    async def filled_within(self, seconds: float) -> bool:
        """Wait for that, no longer than some seconds; return whether it is so."""
        try:
            async with asyncio.timeout(seconds):
                await self.settled()
                return await self._arrivals.until(self._wanted, seconds)
        except TimeoutError:
            return False

    async def reach(self, sequence: int, within_s: float) -> None:
        """See `Copying.reach`."""
        if sequence > self._extent.span.newest:
            info = await self._api.info()
            if info is not None and sequence > info.span.newest:
                # Nobody is told that the log never had it by a leader that is none any more.
                info = await self._api.certain_info()
            if info is not None and epoch_of(info.config) == self._copy.epoch:
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
        return self._copy.span.newest

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
        self._epoch = None
        await self._look(closely=True)
        self._epoch, self._wanted = self._copy.epoch, self._extent.span.newest
        self._settled.set()
        self._pull = pull = await Pull.begin(self._broker, self._api, self._newest)
        self.problem = None
        try:
            while True:
                messages = await pull.next(self._look_every_s)
                if messages:
                    await self._take(messages)
                if monotonic() - self._looked_at > self._look_every_s:
                    await self._look()
        finally:
            self._pull = None
            await pull.close()

    async def _look(self, *, closely: bool = False) -> None:
        """See what the stream holds, and drop what it has dropped."""
        span = (await self._lookout.look(closely=closely)).span
        if self._epoch not in (None, self._copy.epoch):
            # What has come is of the log that was.
            raise LogUnavailableError(f"the stream {self._api.stream} is followed anew")
        self._looked_at = monotonic()
        self._extent.saw(span)
        if self._newest < self._wanted:
            _log.info("the index lacks %d of %d events", self.behind, span.count)
        await self._begin_after(span.oldest - 1)

    def _begin_anew(self) -> None:
        # Until it is followed anew nobody knows what it has: nobody is up with it.
        self.problem = self.problem or f"the stream {self._api.stream} is to be followed anew"
        span = self._copy.span
        self._wanted = span.newest
        self._extent.begin_anew(span)
        self._arrivals.begin_anew(span.newest)

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
        if await self._copy.take(first, events, run[-1].left > _MANY):
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
        if self._copy.span.oldest <= number:
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


def _contiguous(messages: Sequence[Delivered]) -> Sequence[Delivered]:
    """Return the first messages whose numbers follow one another."""
    for count, message in enumerate(messages):
        if message.sequence != messages[0].sequence + count:
            return messages[:count]
    return messages
