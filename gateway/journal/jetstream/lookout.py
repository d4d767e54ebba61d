"""The lookout: whether the stream is still the one that the index is of, and what is done if not.

A stream that is gone is made again. One that is another, by its epoch, has the index begin anew.
One that has lost events, such as a backup that was restored, would give their numbers to others:
it gets a new epoch, which makes it another, so that no cursor from before is taken for one of now.

A stream that a move has taken away, or is bringing, is left alone, whatever it looks like: the move
ends that, and a log that was moved lives elsewhere.

Several gateways see the same at the same time. Of two that make the stream the servers let one win.
Of two that give it an epoch the later wins; each looks again before it takes one up.
"""

import logging
from collections.abc import Callable
from time import monotonic

from gateway.journal.errors import LogOpenError, LogUnavailableError
from gateway.journal.filter import EVERYTHING
from gateway.journal.jetstream.api import JetStreamApi, StreamInfo
from gateway.journal.jetstream.encoding import Encoding, ForeignMessageError
from gateway.journal.jetstream.patience import USUAL, Patience
from gateway.journal.jetstream.standing_copy import StandingCopy
from gateway.journal.jetstream.stream import ANY_SIZE, Stream, made, renew, stream_of
from gateway.journal.moves import AS_IT_WAS, Marks, Opening
from gateway.journal.retention import Retention

# One event, however large.
_ANY_BYTES = 2**40

_log = logging.getLogger(__name__)


class Lookout:
    """Looks after one stream, and its index. `limits` are those of a stream that it makes.

    `stream` is what it was at the last look that found it well, and `opening` says which moves of
    it may be under way.
    """

    def __init__(
        self,
        api: JetStreamApi,
        copy: StandingCopy,
        encoding: Encoding,
        limits: Retention,
        stream: Stream | None,
        opening: Opening = AS_IT_WAS,
        now: Callable[[], float] = monotonic,
        patience: Patience = USUAL,
    ) -> None:
        self._api = api
        self._sure_after_s = patience.sure_after_s
        self._copy = copy
        self._encoding = encoding
        self._limits = limits
        self._opening = opening
        self._now = now
        self.stream = stream
        # Why nothing may be stored, None if it may.
        self.objection = None if stream else f"the stream {api.stream} has not been seen yet"
        # What may be wrong with it, and since when, by `now`.
        self._doubt: tuple[str, float] | None = None

    @property
    def moved(self) -> str | None:
        """Where the log has gone, in words: what is left of it here is followed to its end.

        Or from where it comes, and that it is not all here. None if it lives here.
        """
        return None if self.stream is None else self._moved(self.stream)

    @property
    def message_max(self) -> int:
        """How large a message of the stream may be, in bytes."""
        return ANY_SIZE if self.stream is None else self.stream.message_max

    async def look(self, *, closely: bool) -> Stream:
        """Return the stream, of which the index is by then; make that so if need be.

        `closely` compares the event that the index ends with, too. Raises LogUnavailableError while
        it is not well: all that can be done about that is being done, or the text says what to do.
        """
        try:
            stream = await self._looked(closely)
        except _UnfitError as error:
            self.objection = str(error)
            raise
        except LogUnavailableError:
            self._doubt = None  # nobody has said anything of it
            raise
        self._doubt = None
        self.stream = stream
        self.objection = self._moved(stream)
        return stream

    async def _looked(self, closely: bool) -> Stream:
        found = await self._api.info() or await self._made_again()
        try:
            stream = stream_of(self._api.stream, found)
        except LogOpenError as error:
            raise _UnfitError(str(error)) from None
        if stream.epoch != self._copy.epoch:
            if self._is_moving(stream):
                other = f"the stream {self._api.stream} is another log than it was"
                raise _UnfitError(self._moved(stream) or other)
            _log.error(
                "the stream %s is another log than the index is of: the index is built anew, and"
                " cursors from before are rejected (EPOCH_CHANGED)",
                self._api.stream,
            )
            await self._copy.begin_anew(stream.epoch, stream.span.oldest - 1)
        elif (loss := await self._loss(stream, closely)) is not None:
            await self._renew(stream, loss)
        return stream

    async def _made_again(self) -> StreamInfo:
        gone = f"the stream {self._api.stream} is not there any more"
        if self._is_moving(self.stream):
            raise _UnfitError(self.moved or gone)
        # Nothing that anybody was given is lost where the index has nothing.
        if self._copy.span.newest and not self._is_sure("gone"):
            raise _UnfitError(gone)
        try:
            found = await made(self._api, self._limits)
        except LogUnavailableError as error:
            raise _UnfitError(f"{gone}, and cannot be made again: {error}") from None
        _log.error("%s: it has been made again, without the events that it held", gone)
        return found

    async def _loss(self, stream: Stream, closely: bool) -> str | None:
        """Return what shows that the stream has lost events, None if nothing does."""
        newest = self._copy.span.newest
        if stream.span.newest < newest:
            return f"ends at {stream.span.newest}, and {newest} has been read of it"
        if closely and not await self._agrees():
            return f"has another event with number {newest} than was read of it"
        return None

    async def _renew(self, stream: Stream, loss: str) -> None:
        said = f"the stream {self._api.stream} {loss}"
        if self._is_moving(stream):
            raise _UnfitError(f"{said}: it has lost events, and is being moved or was moved")
        if not self._is_sure("lost"):
            raise _UnfitError(f"{said}: if that stays so, it has lost events")
        # One that leads no more lacks what was stored since: until it knows that, nobody is sure.
        certain = await self._api.certain_info()
        if certain is None or certain.span.newest > stream.span.newest:
            raise _UnfitError(f"{said}: it had not heard of all events yet")
        _log.error(
            "%s: it has lost events, and gets a new epoch, so that their numbers are not taken for"
            " those of others",
            said,
        )
        try:
            await renew(self._api, stream.epoch)
        except LogUnavailableError as error:
            raise _UnfitError(
                f"{said}: it has lost events, and cannot get a new epoch: {error}"
            ) from None
        # Another gateway may do the same: the next look takes up whichever epoch it has then.
        raise _UnfitError(f"{said}: it has lost events, and has got a new epoch")

    def _moved(self, stream: Stream) -> str | None:
        return self._opening.refusal(stream.marks, self._api.stream)

    def _is_moving(self, stream: Stream | None) -> bool:
        return self._opening.is_for_move or (stream is not None and stream.marks != Marks())

    async def _agrees(self) -> bool:
        """Return whether the stream has the event that the index ends with.

        Or whether that cannot be told: the index is empty, or the stream has deleted the event.
        """
        newest = await self._copy.recent(1, _ANY_BYTES)
        if not newest:
            return True
        message = await self._api.message(seq=newest[0].framed.sequence)
        if message is None:
            return True
        try:
            event = self._encoding.decoded(message.data)
        except ForeignMessageError:
            return False
        held = await self._copy.find(event.id, EVERYTHING)
        if held is None:  # never read, unless the index has been pruned since it was asked first
            return await self._copy.recent(1, _ANY_BYTES) != newest
        return (held.frame, held.raw) == (newest[0].framed.frame, event.raw)

    def _is_sure(self, of: str) -> bool:
        """Whether something has been so at each look for long enough."""
        now = self._now()
        if self._doubt is None or self._doubt[0] != of:
            self._doubt = (of, now)
        return now - self._doubt[1] >= self._sure_after_s


class _UnfitError(LogUnavailableError):
    """The stream is not well; nothing may be stored."""
