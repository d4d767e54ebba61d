"""Lists, cut into pages by number and size."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

# Entries on a page when the request does not say.
_DEFAULT_PAGE_SIZE = 20

T = TypeVar("T")


def page(
    items: Sequence[T], query: Mapping[str, Any], show: Callable[[T], dict[str, Any]]
) -> dict[str, Any]:
    """Return the response to a list request: the page, and where in the list it stands.

    Only the entries on the page are rendered. A page past the end is empty.
    """
    number: int = query.get("page[number]", 1)
    size: int = query.get("page[size]", _DEFAULT_PAGE_SIZE)
    first = (number - 1) * size
    return {
        "data": [show(item) for item in items[first : first + size]],
        "meta": {
            "page_number": number,
            "page_size": size,
            "total_pages": -(-len(items) // size),
            "total_results": len(items),
        },
    }
