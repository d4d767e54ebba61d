"""Pages: AIP-158 tokens over the provider's page numbers."""

import struct
from dataclasses import dataclass
from typing import Any

from gateway.errors import FieldViolation
from gateway.tokens import arguments_digest, seal, unseal

# The provider's bounds of `page[size]`.
PAGE_SIZE_MAX = 250

_KIND = b"p"
# Page number, page size, digest of the request's other fields.
_LAYOUT = struct.Struct(">II8s")


class PageError(Exception):
    """The request's paging fields cannot be used; holds the violation."""

    def __init__(self, violation: FieldViolation) -> None:
        super().__init__(violation.description)
        self.violation = violation


@dataclass(frozen=True, slots=True)
class Page:
    """Which page of a list a request asks for. A size of zero leaves it to the provider."""

    number: int
    size: int
    _arguments: bytes

    @classmethod
    def of(cls, request: Any) -> "Page":
        """Read `page_size` and `page_token` of a list request.

        Raises PageError for a negative size, a token that is none, and a token that was made for
        a request with other arguments (AIP-158).
        """
        if request.page_size < 0:
            raise PageError(FieldViolation("page_size", "must not be negative"))
        size = min(request.page_size, PAGE_SIZE_MAX)
        arguments = arguments_digest(request)
        if not request.page_token:
            return cls(1, size, arguments)
        try:
            number, token_size, token_arguments = _LAYOUT.unpack(unseal(_KIND, request.page_token))
        except (ValueError, struct.error):
            raise PageError(
                FieldViolation("page_token", "is not a token that a list response gave")
            ) from None
        if token_arguments != arguments or size not in (0, token_size):
            raise PageError(
                FieldViolation(
                    "page_token",
                    "was given for other arguments: repeat them all, or begin without a token",
                )
            )
        return cls(number, token_size, arguments)

    def query(self) -> list[tuple[str, str]]:
        """Return the query parameters that ask the provider for this page."""
        query = [("page[number]", str(self.number))] if self.number > 1 else []
        return [*query, ("page[size]", str(self.size))] if self.size else query

    def next_token(self, total_pages: int) -> str:
        """Return the token of the page after this one, empty if this is the last."""
        if self.number >= total_pages:
            return ""
        return seal(_KIND, _LAYOUT.pack(self.number + 1, self.size, self._arguments))
