"""What a caller may see: the condition on events that follows from its connections."""

from collections.abc import Callable
from dataclasses import replace

from gateway.callers.caller import Caller
from gateway.callers.kinds import Kind, Kinds
from gateway.journal.filter import Filter, Limit


def binding(kinds: Kinds) -> Callable[[Caller], Caller]:
    """Return a function that completes callers by what they may see.

    One that is bound to connections sees the events of these. An event without a connection is
    nobody's, and no bound caller sees it.
    """
    number = kinds.number(Kind.CONNECTION)

    def bind(caller: Caller) -> Caller:
        if caller.connections is None:
            return caller
        # Not by `Filter.of`, for which no values are no limit: without connections nothing is seen.
        limit = Limit(number, caller.connections - {""})
        return replace(caller, visible=Filter((limit,)))

    return bind
