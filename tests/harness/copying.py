"""An index's copying, and what is told ahead of it, as a test says that they go."""

from collections.abc import Awaitable, Callable

from gateway.journal.errors import LogUnavailableError
from gateway.journal.events import Entry
from gateway.journal.lag import Lag
from gateway.journal.ports import Listener


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

    def when_begun_anew(self, told: Callable[[], None]) -> None:
        """It never does."""

    async def settled(self) -> None:
        """It is."""

    async def filled(self) -> None:
        """It is."""

    async def reach(self, sequence: int, within_s: float) -> None:
        self.asked.append((sequence, within_s))
        if self.fails:
            raise LogUnavailableError("behind")
        await self._bring()


class HeldAhead:
    """Tells the entries of numbers, from a place on, when a test wants them told."""

    is_told = True

    def __init__(self, place: int, entry: Callable[[int], Entry]) -> None:
        self._place, self._entry, self._newest = place, entry, place
        self._listener: Listener | None = None

    def place(self) -> int | None:
        return self._place

    def begin(self, listener: Listener) -> None:
        self._listener = listener

    def tell(self, through: int) -> None:
        assert self._listener is not None
        self._listener([self._entry(it) for it in range(self._newest + 1, through + 1)])
        self._newest = through

    def lose(self, through: int) -> None:
        """Have the log lose all up to a number."""
        self._newest = through
