"""Some of many values, chosen at one stroke."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Strategy = st.SearchStrategy[Any]


@st.composite
def some_of(
    draw: Callable[[Strategy], Any], always: dict[str, Strategy], maybe: dict[str, Strategy]
) -> dict[str, Any]:
    """Return values of all names in `always` and of some in `maybe`.

    One number says which: to draw that for each name by itself takes four times as long.
    """
    chosen = draw(st.integers(0, 2 ** len(maybe) - 1))
    there = [name for place, name in enumerate(maybe) if chosen >> place & 1]
    return {
        **{name: draw(value) for name, value in always.items()},
        **{name: draw(maybe[name]) for name in there},
    }
