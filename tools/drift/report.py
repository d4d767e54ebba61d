"""What `make drift` prints."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tools.drift.facts import Difference


def report(
    committed: Mapping[str, Any],
    fresh: Mapping[str, Any],
    found: Difference,
    lacks: Sequence[str],
) -> Iterator[str]:
    """Return the lines: versions, how the documents differ, what the protos lack."""
    ours, newest = committed["info"]["version"], fresh["info"]["version"]
    yield f"api.json is made from telnyx {ours}; the newest that can be installed is {newest}."
    if not (found.gone or found.new):
        yield "The API has not changed."
    else:
        yield "The API has changed (+ is new, - is gone):"
        yield from (f"  - {it}" for it in found.gone)
        yield from (f"  + {it}" for it in found.new)
        yield "To follow: `make lock`, `make api`, then the sandbox's handlers and the protos."
    if not lacks:
        yield "The protos lack nothing."
    else:
        yield "The protos lack:"
        yield from (f"  {it}" for it in lacks)
