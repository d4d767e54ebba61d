"""A scenario that has been read: who takes part, and what happens when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from gateway.sandbox.faults import Fault


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who may call in, under the name that the scenario gives them."""

    name: str
    call_control_id: str
    from_: str | None = None
    to: str | None = None
    connection_id: str | None = None


@dataclass(frozen=True, slots=True)
class CallIn:
    """The caller dials and is picked up: a new call."""

    caller: Caller


@dataclass(frozen=True, slots=True)
class HangUp:
    """The caller hangs up."""

    caller: Caller


@dataclass(frozen=True, slots=True)
class Talk:
    """The caller speaks."""

    caller: Caller


@dataclass(frozen=True, slots=True)
class Command:
    """An operation of the provider.

    `conference` is the scenario's name of the conference: the one in whose path the operation is,
    or the one that it creates.
    """

    operation: str
    path: Mapping[str, str]
    body: Mapping[str, Any]
    conference: str | None = None
    creates: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault from now on; `conference` limits it to a conference of the scenario."""

    fault: Fault
    conference: str | None = None


@dataclass(frozen=True, slots=True)
class Relief:
    """No faults from now on."""


Deed: TypeAlias = CallIn | HangUp | Talk | Command | Trouble | Relief


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens.

    A step of the file that is for several calls is as many of these.
    """

    # Seconds of sandbox time since the scenario began.
    at: float
    # Its number in the file, from 1, and the line there; 0 if that is not known.
    number: int
    line: int
    # What a person is told.
    text: str
    deed: Deed
    # Callers who are heard of for the first time, and so call in first.
    arriving: tuple[Caller, ...] = ()
    # Whether the provider is to refuse it: somebody does what cannot be done.
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """A scenario, checked and ready to be played. Steps are in the order of their times."""

    name: str
    title: str
    about: str
    # Seconds from the beginning to the end, when whoever is left hangs up.
    length: float
    callers: Sequence[Caller]
    steps: Sequence[Step] = field(repr=False)
