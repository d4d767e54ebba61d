"""Attempts: what came of one request, sent once."""

from collections.abc import Callable
from typing import NamedTuple

from gateway.upstream.ends import End, end_of_error, end_of_status
from gateway.upstream.transport import HttpResponse, TransportError


class AttemptResult(NamedTuple):
    """How an attempt ended: with a response, or with the reason why there is none."""

    end: End
    response: HttpResponse | None = None
    error: TransportError | None = None

    @classmethod
    def of_response(cls, response: HttpResponse) -> "AttemptResult":
        """Return the result of an attempt with a response of the provider's."""
        return cls(end_of_status(response.status), response)

    @classmethod
    def of_error(cls, error: TransportError) -> "AttemptResult":
        """Return the result of an attempt without a response."""
        return cls(end_of_error(error), error=error)

    @property
    def label(self) -> str:
        """A word for metrics: the status, or the kind of error."""
        if self.response is not None:
            return str(self.response.status)
        return type(self.error).__name__.removesuffix("Error").lower()


# The word for an attempt whose end nobody waits for: another one won, or the caller has left.
GIVEN_UP = "given_up"


class AttemptEnded(NamedTuple):
    """An attempt that has ended, for metrics. `number` is 1 for the first of a call."""

    method: str
    number: int
    result: str


AttemptObserver = Callable[[AttemptEnded], None]
