"""The period for which the log is complete, and how it is remembered."""

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from gateway.journal.errors import LogOpenError, LogUnavailableError
from gateway.journal.ports import Checkpoints, EventLog

# The checkpoint's name, and the version of what is written under it.
CHECKPOINT = "complete"
_VERSION = 1

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Complete:
    """A period, in microseconds since 1970, of which the log holds everything that was sent."""

    since_us: int
    until_us: int


class UnreadableError(LogUnavailableError):
    """The period was written by a newer gateway."""


class Completeness:
    """Remembers the period durably, so that looking goes on where it stopped. Use `begin`.

    Another gateway may have moved it since it was read here. Then it is not written over: a mark
    may be corrected backwards, so that the later one is not always the one that is further. Whoever
    marks it reads it again first, and begins from there.

    `epoch` is that of the log as it is now: nobody has looked at one that has begun anew.
    """

    def __init__(self, checkpoints: Checkpoints, epoch: Callable[[], bytes]) -> None:
        self._checkpoints = checkpoints
        self._epoch = epoch
        self._complete: Complete | None = None
        self._revision = 0
        # Of which log it has been read; None while it has not.
        self._of: bytes | None = None

    @classmethod
    async def begin(cls, log: EventLog) -> "Completeness":
        """Return that of a log; without a broker it is not loaded yet. Raises LogOpenError."""
        made = cls(log.checkpoints, lambda: log.journal.epoch)
        try:
            await made.reload()
        except UnreadableError as error:
            raise LogOpenError(str(error)) from None
        except LogUnavailableError as error:
            _log.warning("it is not known yet for which period the log is complete: %s", error)
        return made

    @property
    def complete(self) -> Complete | None:
        """The period, None if nobody has ever looked."""
        return self._complete if self._of == self._epoch() else None

    async def reload(self) -> None:
        """Take over what is remembered now. Raises LogUnavailableError."""
        epoch = self._epoch()
        found = await self._checkpoints.read(CHECKPOINT)
        try:
            complete = None if found.value is None else read_complete(found.value)
        except ValueError:
            raise UnreadableError(
                "the event log says for which period it is complete in a way that this gateway does"
                " not know: open it with the gateway that wrote it"
            ) from None
        self._must_be(epoch)
        self._complete, self._revision, self._of = complete, found.revision, epoch

    async def mark(self, until_us: int) -> None:
        """Extend the period to a moment; one that it covers already changes nothing.

        The first mark ever is also where it begins. Raises LogUnavailableError, and OutdatedError
        if another gateway has moved it since it was read.
        """
        complete = self.complete or Complete(until_us, until_us)
        await self.correct(replace(complete, until_us=max(until_us, complete.until_us)))

    async def correct(self, complete: Complete) -> None:
        """Replace the period, which was marked by a clock that was wrong. Raises as `mark` does."""
        # What was looked at may be of the log that was.
        of = self._of
        self._must_be(of)
        if complete != self._complete:
            revision = await self._checkpoints.replace(
                CHECKPOINT, _encoded(complete), self._revision
            )
            # Somebody else may have read that of another log meanwhile.
            if self._of == of:
                self._complete, self._revision = complete, revision

    def _must_be(self, epoch: bytes | None) -> None:
        if self._epoch() != epoch:
            raise LogUnavailableError("the event log has begun anew, as another one")


def _encoded(complete: Complete) -> bytes:
    return json.dumps({"version": _VERSION, **asdict(complete)}).encode()


def read_complete(value: bytes) -> Complete:
    """Return the period that a checkpoint says. Raises ValueError; its words follow the name."""
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    match found:
        case {
            "version": version,
            "since_us": int(since_us),
            "until_us": int(until_us),
        } if version == _VERSION:
            return Complete(since_us, until_us)
    raise ValueError("cannot be read by this gateway")
