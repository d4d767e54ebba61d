"""Calls in traces."""

from typing import Any

from gateway.server.call import Call
from gateway.server.hooks.hook import Hook
from gateway.tracecontext import Begin, received


class Traced(Hook):
    """A hook that gives each call its span, below that of its caller if that sent its context."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin

    def on_start(self, call: Call[Any]) -> None:
        """See `Hook`."""
        call.span = self._begin(received(call.metadata), call.method)
