"""Components: what the gateway's health is made of."""

from typing import NamedTuple


class ComponentChanged(NamedTuple):
    """A component that does not work any more, or works again.

    `problem` says what is wrong with it, None if all is well now. `seconds` is how long it was in
    the state that is over.
    """

    component: str
    problem: str | None
    seconds: float
