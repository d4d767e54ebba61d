"""An index's copying, as a test says that it goes."""

from collections.abc import Awaitable, Callable

from gateway.journal.errors import LogUnavailableError
from gateway.journal.lag import Lag


async def _nothing() -> None:
    """Bring nothing."""


class HeldCopying:
    """Says of an index what a test sets, and has `bring` bring what is asked for."""

    def __init__(self, bring: Callable[[], Awaitable[None]] = _nothing) -> None:
        self._bring = bring
        self.lag: Lag | None = None
        self.behind = 0
        self.held = 0
        self.problem: str | None = None
        # What was asked for, and for how long it would have been waited for.
        self.asked: list[tuple[int, float]] = []
        self.fails = False

    async def filled(self) -> None:
        """It is."""

    async def reach(self, sequence: int, within_s: float) -> None:
        self.asked.append((sequence, within_s))
        if self.fails:
            raise LogUnavailableError("behind")
        await self._bring()
