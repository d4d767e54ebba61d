"""What a figure cannot be, however noisy the machine."""

import math
from collections.abc import Mapping


class ImpossibleFigureError(Exception):
    """A figure came out that nothing real can have: what was compared is not comparable."""


def refuse_impossible(figures: Mapping[str, float]) -> None:
    """Raise ImpossibleFigureError unless each figure is a number above 0.

    A rate, a delay, a size or a ratio of two of them is. What is not was measured wrongly, and
    publishing it beside right ones would lend it their credit.
    """
    wrong = {name: it for name, it in figures.items() if not (math.isfinite(it) and it > 0)}
    if wrong:
        said = ", ".join(f"{name} = {it:g}" for name, it in wrong.items())
        raise ImpossibleFigureError(f"{said}: nothing real has such a figure, nothing is written")
