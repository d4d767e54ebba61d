"""Cursors: places in one log, as opaque texts."""

import struct
from dataclasses import dataclass

from gateway.tokens import seal, unseal

_KIND = b"c"
_LAYOUT = struct.Struct(">8sQ")

EPOCH_BYTES = 8


class CursorFormatError(ValueError):
    """A text that no gateway gave out as a cursor."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place just after the event with number `sequence` of the log with identity `epoch`.

    Sequence zero is the place before the first event.
    """

    epoch: bytes
    sequence: int

    def __str__(self) -> str:
        return seal(_KIND, _LAYOUT.pack(self.epoch, self.sequence))

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read a cursor. Raises CursorFormatError."""
        try:
            return cls(*_LAYOUT.unpack(unseal(_KIND, text)))
        except (ValueError, struct.error):
            raise CursorFormatError("is not a cursor that this gateway gave") from None
