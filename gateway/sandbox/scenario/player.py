"""What plays in the sandbox now: a scenario or a recorded feed, one at a time."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

State = Literal["playing", "over", "stopped", "broken"]


class Playable(Protocol):
    """A scenario or a recording on its way."""

    kind: str
    rounds: int
    position: int
    failures: int

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def count(self) -> int:
        """How many steps or events it has."""

    async def play(self, *, loop: bool = False) -> None:
        """Play to the end, or over and over, until cancelled."""

    async def settled(self) -> None:
        """Wait until nothing more happens before the clock moves."""


class Player:
    """Plays on the event loop. Starting something ends what plays."""

    def __init__(self) -> None:
        self._piece: Playable | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, piece: Playable, *, loop: bool, on_end: Callable[[State], None]) -> None:
        """Start to play, after what plays has ended; `on_end` is called when it is over."""
        previous = self._task
        self._piece = piece
        self._task = asyncio.create_task(_after(previous, piece, loop))
        self._task.add_done_callback(lambda task: _report(task, on_end))

    async def stop(self) -> None:
        """End what plays, if anything does."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def settled(self) -> None:
        """Wait until nothing more happens before the clock moves."""
        if self._piece is not None and self._task is not None and not self._task.done():
            await self._piece.settled()

    def view(self) -> Mapping[str, Any] | None:
        """Return what plays or has played last, and how far it is; None if nothing has."""
        piece, task = self._piece, self._task
        if piece is None or task is None:
            return None
        return {
            "kind": piece.kind,
            "name": piece.name,
            "state": _state(task),
            "round": piece.rounds,
            "position": piece.position,
            "count": piece.count,
            "failures": piece.failures,
        }


async def _after(previous: asyncio.Task[None] | None, piece: Playable, loop: bool) -> None:
    if previous is not None:
        previous.cancel()
        await asyncio.wait((previous,))
    await piece.play(loop=loop)


def _report(task: asyncio.Task[None], on_end: Callable[[State], None]) -> None:
    state = _state(task)
    if state == "broken":
        asyncio.get_running_loop().call_exception_handler(
            {"message": "what plays broke", "exception": task.exception(), "task": task}
        )
    on_end(state)


def _state(task: asyncio.Task[None]) -> State:
    if not task.done():
        return "playing"
    if task.cancelled():
        return "stopped"
    return "over" if task.exception() is None else "broken"
