"""Where work is in a trace: the W3C context that comes with it and goes on with what it causes.

The texts are those of Trace Context, level 2 (w3.org/TR/trace-context-2). What came broken is as
if nothing had come: nobody guesses which trace somebody may have meant. Ids are passed on whether
or not spans are exported, so that those of others stay joined.
"""

import re
from collections.abc import Callable, Iterable
from random import getrandbits
from typing import NamedTuple, TypeAlias

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

# The flags that level 2 knows. Others are zero in what is sent (3.2.2.5.3).
SAMPLED = 0x01
RANDOM = 0x02

# How much of a tracestate is passed on, in characters: as much as everybody must (3.3.1.5). Members
# longer than the second number go first.
STATE_MAX = 512
_MEMBER_MAX = 128

# How many members a tracestate may have (3.3.1.1).
_MEMBERS_MAX = 32

# Later versions may have more behind a further dash; version ff is none (3.2.2.1, 3.2.3).
_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)

# A member of a tracestate (3.3.1.3).
_MEMBER = re.compile(r"([a-z0-9][a-z0-9_\-*/@]{0,255})=[ -+\--<>-~]{0,255}[!-+\--<>-~]")

_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16


class TraceContext(NamedTuple):
    """The place of a span in its trace, as others are told it.

    The ids are hexadecimal texts of 32 and 16 digits; `state` is what tracing systems add for
    themselves, as a header.
    """

    trace_id: str
    span_id: str
    flags: int = 0
    state: str = ""

    @property
    def is_sampled(self) -> bool:
        """Whether who handed it on may have recorded its span."""
        return bool(self.flags & SAMPLED)

    @property
    def traceparent(self) -> str:
        """The header of that name."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    @property
    def headers(self) -> dict[str, str]:
        """Both headers, for a request that goes on with the trace."""
        if self.state:
            return {TRACEPARENT: self.traceparent, TRACESTATE: self.state}
        return {TRACEPARENT: self.traceparent}


class Span(NamedTuple):
    """A piece of work in a trace, as far as it is known from its beginning.

    `context` is for those whom the work calls, `parent` the one that it came with, if any. Only of
    a span that `is_recorded` becomes anything when it has ended.
    """

    context: TraceContext
    parent: TraceContext | None = None
    is_recorded: bool = False

    def child(self) -> "Span":
        """Return the span of a part of the work; without records it needs no place of its own."""
        if not self.is_recorded:
            return self
        return Span(self.context._replace(span_id=new_span_id()), self.context, True)


Begin: TypeAlias = Callable[[TraceContext | None, str], Span | None]
"""Begins the span of work that came with a context, and of a name; None if it is in no trace."""


def passed_on(received: TraceContext | None, name: str) -> Span | None:
    """Begin nothing: the context that came goes on as it is."""
    return None if received is None else Span(received)


def new_trace_id() -> str:
    """Return the id of a new trace, all of it random."""
    return f"{getrandbits(128) or 1:032x}"


def new_span_id() -> str:
    """Return the id of a new span."""
    return f"{getrandbits(64) or 1:016x}"


def received(headers: Iterable[tuple[str, str | bytes]]) -> TraceContext | None:
    """Return the context among the headers of a request, None if there is none that can be read.

    Names are in lower case. More than one `traceparent` is none; of a broken `tracestate` nothing
    is taken.
    """
    parent: str | bytes | None = None
    states: list[str] = []
    for name, value in headers:
        if name == TRACEPARENT:
            if parent is not None:
                return None
            parent = value
        elif name == TRACESTATE and isinstance(value, str):
            states.append(value)
    if not isinstance(parent, str):
        return None
    context = parse(parent)
    if context is None or not states:
        return context
    return context._replace(state=state_of(",".join(states)))


def parse(traceparent: str) -> TraceContext | None:
    """Return the context of a `traceparent`, None if it is broken."""
    found = _PARENT.fullmatch(traceparent)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more):
        return None
    if trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return TraceContext(trace_id, span_id, int(flags, 16) & (SAMPLED | RANDOM))


def state_of(tracestate: str) -> str:
    """Return what is passed on of a `tracestate`: nothing if it is broken, and whole members."""
    members: dict[str, str] = {}
    for part in tracestate.split(","):
        text = part.strip(" \t")
        if not text:
            continue
        found = _MEMBER.fullmatch(text)
        if found is None or found[1] in members or len(members) == _MEMBERS_MAX:
            return ""
        members[found[1]] = text
    return _bounded(list(members.values()))


def _bounded(members: list[str]) -> str:
    while sum(map(len, members)) + len(members) - 1 > STATE_MAX:
        long = [number for number, it in enumerate(members) if len(it) > _MEMBER_MAX]
        del members[long[-1] if long else -1]
    return ",".join(members)
