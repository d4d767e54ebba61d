"""The journal: the stream gives events their numbers."""

from collections.abc import Callable
from time import monotonic

from gateway.journal.errors import LogUnavailableError
from gateway.journal.events import Appended, NewEvent
from gateway.journal.jetstream import subjects
from gateway.journal.jetstream.appending import Appender
from gateway.journal.jetstream.arrivals import Arrivals
from gateway.journal.jetstream.encoding import Encoding
from gateway.journal.jetstream.extent import Extent
from gateway.journal.jetstream.publishing import Outgoing
from gateway.journal.reading import Span

# How long an append waits for its event to come back into the index, in seconds, where the index is
# up with the stream: whoever has stored an event then finds it here. It is stored in any case.
_ROUND_S = 1.0
_UP_WITHIN = 5_000

# For how long it is a problem that an event could not be stored, in seconds, unless one is stored
# meanwhile: the provider sends no more to a gateway that says so, and it could never find out.
_FAILURE_HOLDS_S = 5.0

# Of a message, what may be there beside the event, in bytes: subject and headers.
_ROUND_IT_BYTES = 1_024


class JetStreamJournal:
    """A `Journal` in a stream. `trouble` says what is known to be wrong with the broker.

    `objection` says why nothing may be stored, although the broker might take it.
    """

    def __init__(
        self,
        stream: str,
        epoch: Callable[[], bytes],
        appender: Appender,
        encoding: Encoding,
        extent: Extent,
        arrivals: Arrivals,
        bytes_max: Callable[[], int],
        trouble: Callable[[], str | None],
        objection: Callable[[], str | None],
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._stream = stream
        self._epoch = epoch
        self._appender = appender
        self._encoding = encoding
        self._extent = extent
        self._arrivals = arrivals
        self._bytes_max = bytes_max
        self._trouble = trouble
        self._objection = objection
        self._now = now

    @property
    def epoch(self) -> bytes:
        """See `Journal.epoch`."""
        return self._epoch()

    @property
    def span(self) -> Span:
        """See `Journal.span`."""
        return self._extent.span

    @property
    def problem(self) -> str | None:
        """See `Journal.problem`."""
        failure = self._appender.failure
        if failure is not None and self._now() < failure[1] + _FAILURE_HOLDS_S:
            return failure[0]
        return self._trouble()

    async def append(self, event: NewEvent) -> Appended:
        """See `Journal.append`. Where the index is up, the event is in it when this returns."""
        if (objection := self._objection()) is not None:
            raise LogUnavailableError(objection)
        outgoing = Outgoing(
            subjects.event_of(self._stream, event.id), self._encoding.encoded(event)
        )
        size, most = len(outgoing.data) + _ROUND_IT_BYTES, self._bytes_max()
        if size > most:
            raise LogUnavailableError(
                f"an event of {size} bytes is larger than the broker takes ({most}): raise its"
                " max_payload, or the stream's max_msg_size"
            )
        epoch = self._epoch()
        appended = await self._appender.append(outgoing)
        if self._epoch() != epoch:
            return appended  # its number may be of the stream that was
        self._extent.reaches(appended.sequence)
        if self._extent.span.newest - self._arrivals.newest <= _UP_WITHIN:
            await self._arrivals.until(appended.sequence, _ROUND_S)
        return appended
