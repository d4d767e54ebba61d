"""Lists, cut into pages by number and size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

DEFAULT_PAGE_SIZE: Final = 20
"""Entries on a page when the request does not say."""

T = TypeVar("T")


def page(
    items: Sequence[T], query: Mapping[str, Any], show: Callable[[T], dict[str, Any]]
) -> dict[str, Any]:
    """Answer a list request: the page asked for, and where in the list it stands.

    Only the entries on the page are rendered. A page past the end is empty.
    """
    number: int = query.get("page[number]", 1)
    size: int = query.get("page[size]", DEFAULT_PAGE_SIZE)
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
