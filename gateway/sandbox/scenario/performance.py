"""A scenario being played: each step at its time, until the last one, or over and over."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from gateway.sandbox.clock import Clock
from gateway.sandbox.faults import RequestFault
from gateway.sandbox.scenario.pace import Pace, one_line, told_at
from gateway.sandbox.scenario.script import (
    CallIn,
    Command,
    HangUp,
    Relief,
    Script,
    Step,
    Talk,
    Trouble,
)
from gateway.sandbox.scenario.stage import DeclinedError, Stage

Outcome = Literal["done", "unheard", "refused", "failed"]

# The shortest round of what is played over and over, in seconds of sandbox time.
ROUND_MIN_S = 1.0

# A conference that could not be created. No id is like it.
_NO_CONFERENCE = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A step that has been played."""

    # How many steps have been played, and how many there are.
    position: int
    count: int
    step: Step
    outcome: Outcome
    # Why it was refused or has failed.
    reason: str = ""

    @property
    def failed(self) -> bool:
        """Whether it did not go as the scenario says."""
        return self.outcome == "failed"

    @property
    def line(self) -> str:
        """The step as a person reads it."""
        more = {
            "done": "",
            "unheard": " (not heard)",
            "refused": f" (refused, as it should be: {self.reason})",
            "failed": f" FAILED at line {self.step.line}: {self.reason}",
        }
        place = told_at(self.step.at, self.position, self.count)
        return f"{place}  {self.step.text}{one_line(more[self.outcome])}"


class Performance:
    """One script on one stage. `tell` is called after each step.

    A step that fails does not end it: people may meddle with what is going on. `failures` counts
    them.
    """

    kind = "scenario"

    def __init__(
        self, script: Script, stage: Stage, clock: Clock, tell: Callable[[Told], None]
    ) -> None:
        self.script = script
        self.rounds = 0
        self.position = 0
        self.failures = 0
        self._stage = stage
        self._clock = clock
        self._tell = tell
        self._conferences: dict[str, str] = {}
        self._pace = Pace(clock)

    async def play(self, *, loop: bool = False) -> None:
        """Play to the end, when whoever is left hangs up, or until cancelled."""
        try:
            while True:
                beginning = self._clock.now()
                await self._play_once()
                if not loop:
                    break
                # Time has to pass, or others would never have their turn.
                await self._pace.until(beginning + ROUND_MIN_S)
        finally:
            self._pace.end()

    @property
    def name(self) -> str:
        """The scenario's name."""
        return self.script.name

    @property
    def count(self) -> int:
        """How many steps there are."""
        return len(self.script.steps)

    async def settled(self) -> None:
        """Wait until nothing more happens before the clock moves, or it is over."""
        await self._pace.settled()

    async def _play_once(self) -> None:
        """Play every step once."""
        # An earlier performance may have been broken off.
        await self._clear_up()
        self.rounds += 1
        self.position = 0
        beginning = self._clock.now()
        for step in self.script.steps:
            await self._pace.until(beginning + step.at)
            outcome, reason = await self._outcome(step)
            self.position += 1
            self.failures += int(outcome == "failed")
            self._tell(Told(self.position, self.count, step, outcome, reason))
        await self._pace.until(beginning + self.script.length)
        await self._clear_up()

    async def _outcome(self, step: Step) -> tuple[Outcome, str]:
        try:
            for caller in step.arriving:
                await self._stage.call_in(caller)
            heard = await self._do(step)
        except DeclinedError as declined:
            return ("refused" if step.refused else "failed"), str(declined)
        if step.refused:
            return "failed", "it should have been refused, and was not"
        return ("done" if heard else "unheard"), ""

    async def _do(self, step: Step) -> bool:
        """Do it; returns False if that changed nothing. Raises DeclinedError."""
        match step.deed:
            case CallIn(caller):
                await self._stage.call_in(caller)
            case HangUp(caller):
                await self._stage.hang_up(caller.call_control_id)
            case Talk(caller):
                return await self._stage.talk(caller.call_control_id)
            case Trouble(fault, conference):
                if conference is not None and isinstance(fault, RequestFault):
                    fault = replace(fault, conference_id=self._conference(conference))
                await self._stage.arm(fault)
            case Relief():
                await self._stage.disarm()
            case Command() as command:
                await self._command(command)
        return True

    async def _command(self, command: Command) -> None:
        name = command.conference
        if command.creates and name is not None:
            self._conferences[name] = _NO_CONFERENCE
            made = await self._stage.command(command.operation, command.path, command.body)
            self._conferences[name] = made or _NO_CONFERENCE
            return
        path = command.path
        if name is not None:
            path = {**path, "id": self._conference(name)}
        await self._stage.command(command.operation, path, command.body)

    def _conference(self, name: str) -> str:
        id_ = self._conferences.get(name, _NO_CONFERENCE)
        if id_ == _NO_CONFERENCE:
            raise DeclinedError(f"conference '{name}' was not created")
        return id_

    async def _clear_up(self) -> None:
        """End what is left of the scenario."""
        for caller in self.script.callers:
            await self._stage.dismiss(caller.call_control_id)
        if any(isinstance(it.deed, Trouble) for it in self.script.steps):
            await self._stage.disarm()
        self._conferences.clear()
