"""The period for which the log is complete, and how it is remembered."""

import json
from dataclasses import asdict, dataclass, replace

from gateway.journal.errors import LogOpenError, LogUnavailableError
from gateway.journal.ports import Checkpoints

# The checkpoint's name, and the version of what is written under it.
CHECKPOINT = "complete"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Complete:
    """A period, in microseconds since 1970, of which the log holds everything that was sent."""

    since_us: int
    until_us: int


class UnreadableError(LogUnavailableError):
    """The period was written by a newer gateway."""


class Completeness:
    """Remembers the period durably, so that looking goes on where it stopped. Use `load`.

    Another gateway may have moved it since it was read here. Then it is not written over: a mark
    may be corrected backwards, so that the later one is not always the one that is further. Whoever
    marks it reads it again first, and begins from there.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        self._complete: Complete | None = None
        self._revision = 0

    @classmethod
    async def load(cls, checkpoints: Checkpoints) -> "Completeness":
        """Return what was remembered.

        Raises LogUnavailableError, and LogOpenError for a checkpoint that nobody here can read.
        """
        found = cls(checkpoints)
        try:
            await found.reload()
        except UnreadableError as error:
            raise LogOpenError(str(error)) from None
        return found

    @property
    def complete(self) -> Complete | None:
        """The period, None if nobody has ever looked."""
        return self._complete

    async def reload(self) -> None:
        """Take over what is remembered now. Raises LogUnavailableError."""
        found = await self._checkpoints.read(CHECKPOINT)
        try:
            complete = None if found.value is None else read_complete(found.value)
        except ValueError:
            raise UnreadableError(
                "the event log says for which period it is complete in a way that this gateway does"
                " not know: open it with the gateway that wrote it"
            ) from None
        self._complete, self._revision = complete, found.revision

    async def mark(self, until_us: int) -> None:
        """Extend the period to a moment; one that it covers already changes nothing.

        The first mark ever is also where it begins. Raises LogUnavailableError, and OutdatedError
        if another gateway has moved it since it was read.
        """
        complete = self._complete or Complete(until_us, until_us)
        await self.correct(replace(complete, until_us=max(until_us, complete.until_us)))

    async def correct(self, complete: Complete) -> None:
        """Replace the period, which was marked by a clock that was wrong. Raises as `mark` does."""
        if complete != self._complete:
            self._revision = await self._checkpoints.replace(
                CHECKPOINT, _encoded(complete), self._revision
            )
            self._complete = complete


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
