"""Operations: what the client has to know of something it can ask the provider.

Those that clients of the gateway can ask for are bindings, compiled from the protos. What the
gateway asks for by itself is written by hand to the same shape.
"""

import enum
from typing import Any, NamedTuple, Protocol, TypeVar

from gateway.details import Resource
from gateway.upstream.failures.errorbody import ErrorBody, ProviderError
from gateway.upstream.pages import Page
from gateway.upstream.transport import HttpResponse

# Blanks, and the byte order mark in UTF-8.
_BLANKS = b" \t\r\n\xef\xbb\xbf"

# Time-out and rate limit: a proxy's word is as good as the provider's.
_ANYBODYS = frozenset({408, 429})

R_co = TypeVar("R_co", covariant=True)


class Safety(enum.Enum):
    """What a repeat of an operation does (from `idempotency_level`)."""

    READ = "read"  # nothing
    REPEATABLE = "repeatable"  # nothing more than the first did
    ONCE = "once"  # everything the first did, again


class NotAnAnswerError(ValueError):
    """A response that is not the provider's word on the request.

    It is a proxy's page, or cut off, or an error in spite of a 2xx: whether the command ran is not
    known. `what` says what came instead, `errors` holds the provider's if it sent some.
    """

    def __init__(self, what: str, errors: ErrorBody | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.errors = errors or ErrorBody()


def check_refusal(response: HttpResponse) -> None:
    """Raise NotAnAnswerError if a 4xx is a page: a proxy's, or put in the place of the provider's.

    The provider refuses in JSON, or with an empty body.
    """
    if not 400 <= response.status < 500 or response.status in _ANYBODYS:
        return
    text = response.body.lstrip(_BLANKS)
    if text and text[:1] not in (b"{", b"["):
        raise NotAnAnswerError("a page in HTML or XML" if text[:1] == b"<" else "a plain text")


class RestCall(NamedTuple):
    """One REST request, ready to be sent, and what is needed to read its answer."""

    method: str
    path: str
    body: bytes | None
    command_id: str
    # Whether the gateway made the command id, because the caller gave none.
    command_id_was_made: bool
    page: Page | None


class Operation(Protocol[R_co]):
    """One REST operation: requests to be sent, and answers to be read."""

    @property
    def name(self) -> str:
        """What it is called in errors and metrics."""

    @property
    def safety(self) -> Safety:
        """What a repeat of it does."""

    def prepare(self, request: Any) -> RestCall:
        """Return the REST request. Raises InvalidRequestError."""

    def check(self, response: HttpResponse) -> None:
        """Raise NotAnAnswerError if a response is not the provider's word on a request."""

    def finish(self, call: RestCall, body: bytes) -> R_co:
        """Return what the provider's 2xx answer says.

        Raises NotAnAnswerError if it is not the provider's answer, MismatchError or any other
        ValueError if it is and cannot be read.
        """

    def field_at(self, pointer: str, request: Any) -> str:
        """Return the proto path of the field that a provider's pointer into a request means."""

    def missing(self, request: Any, error: ProviderError) -> Resource | None:
        """Return what the provider did not find, or None if it is not certain what that is."""
