"""Cursors: positions in one log, as opaque texts.

A cursor's layout has a version. This gateway makes and reads version 1: the log's epoch, 8 bytes,
and the number of an event. That holds for any home of a log that has an identity and numbers its
events without holes, be it a file or a stream of a broker.
"""

import struct
from dataclasses import dataclass

from gateway.tokens import Sealer, TokenKind, TokenVersionError, unseal

_VERSION = 1
_KIND = TokenKind(b"c", _VERSION)
_LAYOUT = struct.Struct(">8sQ")
_SEQUENCE_BYTES = 8


class CursorFormatError(ValueError):
    """A text that this gateway cannot read as a cursor; it says why, without a subject."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position just after the event with number `sequence` of the log with identity `epoch`.

    Sequence zero is the position before the first event.
    """

    epoch: bytes
    sequence: int

    def __str__(self) -> str:
        return Cursors(self.epoch).text(self.sequence)

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read a cursor. Raises CursorFormatError."""
        try:
            return cls(*_LAYOUT.unpack(unseal(_KIND, text)))
        except TokenVersionError as error:
            raise CursorFormatError(
                f"is a cursor of version {error.version}, and this gateway reads version"
                f" {_VERSION}: it comes from a gateway of another release"
            ) from None
        except (ValueError, struct.error):
            raise CursorFormatError("is not a cursor of this gateway") from None


class Cursors:
    """The cursors of one log. Several are made for each event: this costs less than `Cursor`."""

    def __init__(self, epoch: bytes) -> None:
        self.epoch = epoch
        self._sealer = Sealer(_KIND, epoch)
        self._last = (-1, "")

    def encoded(self, sequence: int) -> bytes:
        """Return the cursor of a position, in ASCII."""
        return self._sealer.seal(sequence.to_bytes(_SEQUENCE_BYTES))

    def text(self, sequence: int) -> str:
        """Return the cursor of a position."""
        # Receipts and heartbeats ask for the same position again and again.
        if self._last[0] != sequence:
            self._last = (sequence, self.encoded(sequence).decode())
        return self._last[1]
