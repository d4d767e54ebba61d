"""Operations: what the client must know of a REST operation of the provider.

Those behind RPCs are compiled from the protos (`bound`). Those that only the gateway itself uses
are written by hand to the same shape.
"""

from typing import Any, Protocol, TypeVar

from gateway.details import Resource
from gateway.schema.rest import RestRequest, Safety
from gateway.upstream.failures.errorbody import ProviderError
from gateway.upstream.transport import HttpResponse

R_co = TypeVar("R_co", covariant=True)


class Operation(Protocol[R_co]):
    """One REST operation: requests to be sent, and responses to be read."""

    @property
    def name(self) -> str:
        """What it is called in errors and metrics."""

    @property
    def safety(self) -> Safety:
        """What a retry of it does."""

    def prepare(self, request: Any) -> RestRequest:
        """Return the REST request. Raises InvalidRequestError."""

    def check(self, response: HttpResponse) -> None:
        """Raise NotAResponseError if a response is not the provider's word on a request."""

    def finish(self, rest: RestRequest, body: bytes) -> R_co:
        """Return what the provider's 2xx response says.

        Raises NotAResponseError if it is not the provider's word, MismatchError or any other
        ValueError if it is and cannot be read.
        """

    def field_at(self, pointer: str, request: Any) -> str:
        """Return the proto path of the field that a provider's pointer into a request means."""

    def missing(self, request: Any, error: ProviderError) -> Resource | None:
        """Return what the provider did not find, or None if it is not certain what that is."""
