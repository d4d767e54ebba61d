"""The options of commands that play something in the simulated provider."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

if TYPE_CHECKING:
    from gateway.simulation import Piece

Command: TypeAlias = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to be played, as they have said it."""

    scenario: str | None
    replay: Path | None
    loop: bool
    fast: bool
    new_ids: bool
    speed: float

    @property
    def option(self) -> str:
        """The first option that only a simulated provider takes; empty if none was given."""
        given = {
            "--scenario": self.scenario is not None,
            "--replay": self.replay is not None,
            "--loop": self.loop,
            "--fast": self.fast,
            "--new-ids": self.new_ids,
            "--speed": self.speed != 1.0,
        }
        return next((name for name, is_given in given.items() if is_given), "")

    def piece(self) -> "Piece | None":
        """Read it; None if nothing is wanted. Raises UsageError, with all that is wrong."""
        from gateway.simulation import Piece, PieceError  # noqa: PLC0415 - see there

        if not math.isfinite(self.speed):
            raise click.UsageError("--speed must be a number, such as 10")
        if self.scenario is not None and self.replay is not None:
            raise click.UsageError("--scenario and --replay are mutually exclusive")
        if self.loop and self.scenario is None and self.replay is None:
            raise click.UsageError("--loop requires --scenario or --replay")
        if self.replay is None and (self.fast or self.new_ids):
            raise click.UsageError(f"--{'fast' if self.fast else 'new-ids'} requires --replay")
        if self.fast and self.loop:
            raise click.UsageError("--fast and --loop are mutually exclusive")
        try:
            if self.scenario is not None:
                return Piece.scenario(self.scenario, loop=self.loop)
            if self.replay is not None:
                return Piece.recording(
                    self.replay, loop=self.loop, fast=self.fast, new_ids=self.new_ids
                )
        except PieceError as error:
            raise click.UsageError("\n".join(error.problems)) from None
        return None


def plays(command: Command) -> Command:
    """Add the options to a command; it gets what is `wanted`."""

    @click.option(
        "--scenario",
        metavar="NAME|FILE",
        help="Play a scenario: one of the package (`sandbox --list-scenarios`), or a file.",
    )
    @click.option(
        "--replay",
        type=click.Path(path_type=Path, dir_okay=False, exists=True),
        help="Post the events of a file that `tail -o json` has written, as they came.",
    )
    @click.option("--loop", is_flag=True, help="Play it over and over.")
    @click.option("--fast", is_flag=True, help="With --replay: without the recorded pauses.")
    @click.option(
        "--new-ids",
        is_flag=True,
        help="With --replay: under new ids, for a log that has these events already.",
    )
    @click.option(
        "--speed",
        default=1.0,
        show_default=True,
        type=click.FloatRange(min=0, min_open=True),
        help="How fast time passes; 10 is tenfold.",
    )
    @wraps(command)
    def with_wanted(
        *arguments: Any,
        scenario: str | None,
        replay: Path | None,
        loop: bool,
        fast: bool,
        new_ids: bool,
        speed: float,
        **others: Any,
    ) -> None:
        wanted = Wanted(scenario, replay, loop, fast, new_ids, speed)
        command(*arguments, wanted=wanted, **others)

    return with_wanted
