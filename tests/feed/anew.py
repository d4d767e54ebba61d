"""A feed over an index that can begin anew, as that of a stream which has become another one."""

from collections.abc import Callable
from pathlib import Path

from gateway.feed.feed import Feed
from gateway.feed.window import Window
from gateway.journal.jetstream.standing_copy import StandingCopy
from tests.harness.copying import HeldCopying
from tests.harness.events import FORMAT, new_event
from tests.harness.loop import LoopThread

FIRST, SECOND = b"1st log!", b"2nd log!"
WINDOW = 10


class AnewCopying(HeldCopying):
    """How an index comes by its events that is fed by hand."""

    def __init__(self, copy: StandingCopy) -> None:
        super().__init__()
        self._copy = copy

    def when_begun_anew(self, told: Callable[[], None]) -> None:
        self._copy.when_begun_anew(told)


async def _forget(through: int) -> None:
    """There is no journal."""


class AnewStage:
    """An index that can begin anew, and a feed of it."""

    def __init__(self, loop: LoopThread, path: Path) -> None:
        self.loop = loop
        self.copy = loop.call(lambda: StandingCopy(path, FORMAT, FIRST, _forget))
        window = Window(0, entries_max=WINDOW)
        self.feed = loop.call(lambda: Feed(self.copy, window, AnewCopying(self.copy)))

    def take(self, *ids: str) -> None:
        events = [new_event(id_=it) for it in ids]
        assert self.loop.run(self.copy.take(self.copy.span.newest + 1, events))

    def begin_anew(self, after: int = 0) -> None:
        self.loop.run(self.copy.begin_anew(SECOND, after))

    def close(self) -> None:
        self.loop.run(self.copy.close())
