"""The seam between a run and what it measures."""

from dataclasses import dataclass
from typing import Protocol

from bench.calls import UnaryCall
from bench.load import Load


@dataclass(frozen=True, slots=True)
class Described:
    """What the table says of a contestant."""

    name: str
    title: str
    # What a reader has to know to read its figures rightly.
    remark: str
    # Whether each of its calls asks the upstream.
    asks_upstream: bool = True


class Contestant(Protocol):
    """Something that can be called, running in one process that is measured."""

    @property
    def described(self) -> Described:
        """What the table says of it."""

    def check(self, call: UnaryCall) -> None:
        """Make the call once with a real client. Raises CheckError if the answer is not right."""

    def load(self, call: UnaryCall, calls: int) -> Load:
        """Make the call many times, `load.CONCURRENCY` at a time. Raises LoadError."""


class CheckError(Exception):
    """A contestant does not answer as it has to; the text says how."""
