"""The scenarios and recorded feeds that a sandbox plays, one at a time."""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.sandbox.clock import Clock
from gateway.sandbox.scenario.performance import Performance, Told
from gateway.sandbox.scenario.player import Player, State
from gateway.sandbox.scenario.replay import Deliveries, Recording, Replay
from gateway.sandbox.scenario.script import Script
from gateway.sandbox.scenario.stage import Stage

Tell = Callable[[str], None]


def to_nobody(_: str) -> None:
    """Tell nobody."""


class Plays:
    """What plays in one sandbox."""

    def __init__(self, stage: Stage, deliveries: Deliveries, clock: Clock) -> None:
        self._stage = stage
        self._deliveries = deliveries
        self._clock = clock
        self._player = Player()

    def play(self, script: Script, *, loop: bool = False, tell: Tell = to_nobody) -> None:
        """Start a scenario; `tell` gets a line for each step, and one at the end."""

        def told(it: Told) -> None:
            tell(it.line)

        performance = Performance(script, self._stage, self._clock, told)
        self._player.start(performance, loop=loop, on_end=lambda it: tell(ended(script.name, it)))

    def replay(self, recording: Recording, *, loop: bool = False, tell: Tell = to_nobody) -> None:
        """Start to send a recorded feed; `tell` gets lines on how far it is."""
        replay = Replay(recording, self._deliveries, self._clock, tell)
        self._player.start(replay, loop=loop, on_end=lambda it: tell(ended(recording.name, it)))

    async def stop(self) -> None:
        """End what plays."""
        await self._player.stop()

    async def settled(self) -> None:
        """Wait until nothing more happens before the clock moves."""
        await self._player.settled()

    def view(self) -> Mapping[str, Any] | None:
        """Return what plays or has played last, and how far it is; None if nothing has."""
        return self._player.view()


def ended(name: str, state: State) -> str:
    """Return the line that something has ended."""
    how = {"over": "over", "stopped": "stopped", "broken": "broken off by a fault of the sandbox"}
    return f"{name}: {how.get(state, state)}"
