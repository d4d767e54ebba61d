"""Tables in Markdown: rows, and figures with their ends."""

from collections.abc import Sequence

from bench.rounds import Spread


def row(*cells: str) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(cells)} |"


def spread_text(values: Sequence[float], form: str) -> str:
    """Return the middle of some values, with both ends."""
    return text_of(Spread.of(values), form)


def text_of(spread: Spread, form: str) -> str:
    """Return a middle with its ends, unless all are the same."""
    if spread.low == spread.high:
        return f"{spread.median:{form}}"
    return f"{spread.median:{form}} ({spread.low:{form}} - {spread.high:{form}})"
