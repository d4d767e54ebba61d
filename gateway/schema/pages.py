"""Pages: AIP-158 tokens over the provider's page numbers.

The provider counts pages: `page[number]` times `page[size]`. A token is a position among its items,
so that a request may ask for another size than the one before it (AIP-158) and still gets what
follows, nothing twice and nothing left out. A provider may make its pages smaller or larger than
it was asked to; where that shows only in its response, the request gets no items and the token for
the page that has them.
"""

import struct
from dataclasses import dataclass
from typing import Any

from gateway.details import FieldViolation
from gateway.schema.decoder import MismatchError, whole_number
from gateway.tokens import TokenKind, arguments_digest, seal, unseal

# The provider's bounds of `page[size]`.
PAGE_SIZE_MAX = 250

# The largest page number that is requested: no list of the provider comes near it, and the item's
# number (times 250) stays within what everybody's integers hold.
PAGE_NUMBER_MAX = 1_000_000

_KIND = TokenKind(b"p", 1)
# Page number, items of the page that have been returned, size requested, size that the provider
# said its pages have (zero: it did not say), whether it makes them of any size as far as is known,
# digest of the request's other fields.
_LAYOUT = struct.Struct(">IIHH?8s")


class PageError(Exception):
    """The request's paging fields cannot be used; holds the violation."""

    def __init__(self, violation: FieldViolation) -> None:
        super().__init__(violation.description)
        self.violation = violation


@dataclass(frozen=True, slots=True)
class RequestedPage:
    """Which items of a list a request asks for: a page of the provider, or a part of one.

    `size` is what is requested of the provider; zero leaves it to the provider. Of the items on its
    page, the first `skip` have been returned before, and at most `take` (zero: all) are wanted.
    """

    number: int
    size: int
    skip: int
    take: int
    _arguments: bytes
    # Whether the provider makes pages of any size, as far as is known.
    _is_any_size: bool = True
    # Whether another size would make it another page: it was counted out for a new size.
    _is_exact: bool = False
    # Whether the provider did not say the size of the page before, or said one that cannot be.
    _is_size_unknown: bool = False

    @classmethod
    def of(cls, request: Any) -> "RequestedPage":
        """Read `page_size` and `page_token` of a list request.

        Raises PageError for a negative size, a token that is none, and a token that was made for
        a request with other arguments (AIP-158).
        """
        if request.page_size < 0:
            raise PageError(FieldViolation("page_size", "must not be negative"))
        wanted = min(request.page_size, PAGE_SIZE_MAX)
        arguments = arguments_digest(request)
        if not request.page_token:
            return cls(1, wanted, 0, wanted, arguments)
        try:
            token = _LAYOUT.unpack(unseal(_KIND, request.page_token))
        except (ValueError, struct.error):
            raise _not_a_token() from None
        number, skip, size, known, is_any_size, token_arguments = token
        if not (1 <= number <= PAGE_NUMBER_MAX and max(size, known) <= PAGE_SIZE_MAX):
            raise _not_a_token()
        if token_arguments != arguments:
            raise PageError(
                FieldViolation(
                    "page_token",
                    "belongs to other arguments: repeat all of them except page_size, or start"
                    " without a token",
                )
            )
        if is_any_size and known and wanted not in (0, size):
            position = _position((number - 1) * known + skip, wanted)
            return cls(*position, wanted, arguments, _is_exact=True)
        return cls(number, size, skip, wanted, arguments, is_any_size, _is_size_unknown=not known)

    def query(self) -> list[tuple[str, str]]:
        """Return the query parameters that ask the provider for this page."""
        query = [("page[number]", str(self.number))] if self.number > 1 else []
        return [*query, ("page[size]", str(self.size))] if self.size else query

    def read(self, count: int, meta: Any) -> tuple[slice, str]:
        """Return which of the items on the provider's page the request gets, and the next token.

        `count` is how many items there are, `meta` what the provider says of the list. The token
        is empty if nothing follows. Raises MismatchError where the list continues beyond
        `PAGE_NUMBER_MAX`, or the provider contradicts itself about the size of its pages.
        """
        meta = meta if type(meta) is dict else {}
        of_page = whole_number(meta.get("page_size")) or 0
        if not count <= of_page <= PAGE_SIZE_MAX:
            of_page = 0  # it cannot be so
        if self._is_size_unknown:
            of_page = 0  # it was not so on the page before
        if self._is_exact and of_page not in (0, self.size) and not self._is_rest(count, meta):
            if 0 < count < of_page and self._goes_on(meta):
                raise MismatchError("the size of the page", "meta.page_size")
            number, skip = divmod((self.number - 1) * self.size + self.skip, of_page)
            return slice(0), self._token(number + 1, skip, of_page)
        # A page larger than requested: what it says is not to be relied on.
        known = of_page if of_page <= (self.size or PAGE_SIZE_MAX) else 0
        end = self.skip + (self.take or count)
        part = slice(self.skip, end)
        if end < count:
            return part, self._token(self.number, end, known)
        if self._is_last(count, known, meta):
            return part, ""
        return part, self._token(self.number + 1, 0, known)

    def _is_rest(self, count: int, meta: dict[str, Any]) -> bool:
        """Tell whether a list of so many items ends on this page with `count` of them."""
        items = whole_number(meta.get("total_results"))
        return items is not None and items == (self.number - 1) * self.size + count

    def _is_last(self, count: int, known: int, meta: dict[str, Any]) -> bool:
        """Tell whether the provider has nothing after this page.

        What it says counts as long as it goes with what it sent. Where it does not say, only a
        page that is short by its own word, or an empty one, is the end: one request too many
        costs less than items that nobody misses.
        """
        if self._goes_on(meta):
            return False
        if not count:
            return True
        items = whole_number(meta.get("total_results"))
        if known and items is not None and items >= (self.number - 1) * known + count:
            return items <= self.number * known
        return count < known or whole_number(meta.get("total_pages")) == self.number

    def _goes_on(self, meta: dict[str, Any]) -> bool:
        pages = whole_number(meta.get("total_pages"))
        return pages is not None and self.number < pages <= PAGE_NUMBER_MAX

    def _token(self, number: int, skip: int, known: int) -> str:
        if number > PAGE_NUMBER_MAX:
            raise MismatchError(f"of a list with at most {PAGE_NUMBER_MAX} pages", "meta")
        # A provider that makes pages of its own sizes is asked for those from then on.
        is_any_size = self._is_any_size and (not self.size or known in (0, self.size))
        size = self.size if is_any_size else known or self.size
        token = _LAYOUT.pack(number, skip, size, known, is_any_size, self._arguments)
        return seal(_KIND, token)


def _position(first: int, wanted: int) -> tuple[int, int, int]:
    """Return the page number, size and items to skip that lead to an item, counted from zero.

    Pages begin at multiples of their size only. Where the item is no multiple of the wanted size,
    the size is taken whose page holds most of what is wanted, behind what is skipped.
    """
    if first % wanted == 0:
        size = wanted
    else:
        size = max(
            range(1, PAGE_SIZE_MAX + 1),
            key=lambda size: (min(wanted, size - first % size), -size),
        )
    return first // size + 1, size, first % size


def _not_a_token() -> PageError:
    return PageError(FieldViolation("page_token", "is not a token from a list response"))
