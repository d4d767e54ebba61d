"""A checkpoint as somebody has read it."""

from typing import NamedTuple


class Checkpoint(NamedTuple):
    """A value, None if none was ever set, and its revision: another one for each that is set."""

    value: bytes | None
    revision: int
