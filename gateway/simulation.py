"""The simulated provider, as commands use it: behind a gateway, or alone, with what plays in it.

Only this module and `throughgateway` import the sandbox. Commands import it when they are run, so
that a gateway of a real provider loads neither the sandbox nor its libraries.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc

from gateway.recorded import RecordedFeed, RecordingError
from gateway.sandbox import RunningSandbox, SandboxServer, SandboxSettings, serve_forever
from gateway.sandbox.clock import RealClock
from gateway.sandbox.scenario.library import script_of, shipped_names, shipped_script
from gateway.sandbox.scenario.performance import Performance
from gateway.sandbox.scenario.player import Player
from gateway.sandbox.scenario.plays import ended
from gateway.sandbox.scenario.problems import ScenarioError
from gateway.sandbox.scenario.replay import RecordedEvent, Recording
from gateway.sandbox.scenario.script import Script
from gateway.throughgateway import GatewayStage

_ANY_KEY = "sandbox"

Tell: TypeAlias = Callable[[str], None]


class PieceError(ValueError):
    """What is to be played cannot be read; `problems` has a line for each mistake."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Piece:
    """A scenario or a recorded feed, read and checked, and how it is to be played."""

    what: Script | Recording
    loop: bool = False

    @classmethod
    def scenario(cls, name: str, *, loop: bool = False) -> "Piece":
        """Return a scenario by its file, or its name in the package. Raises PieceError."""
        try:
            return cls(script_of(name), loop)
        except ScenarioError as error:
            raise PieceError(error.problems) from None

    @classmethod
    def recording(
        cls, path: Path, *, loop: bool = False, fast: bool = False, new_ids: bool = False
    ) -> "Piece":
        """Return a file of `tail -o json`. Raises PieceError."""
        feed = RecordedFeed(path)

        def events() -> Iterator[RecordedEvent]:
            return (RecordedEvent(*it) for it in feed.webhooks())

        try:
            count = feed.count()
        except RecordingError as error:
            raise PieceError([str(error)]) from None
        recording = Recording(
            name=path.name, count=count, events=events, fast=fast, new_ids=new_ids
        )
        return cls(recording, loop)


@dataclass(frozen=True, slots=True)
class Simulation:
    """A simulated provider that runs, and what is to be played in it."""

    _server: SandboxServer
    _speed: float = 1.0
    piece: Piece | None = None

    @property
    def settings(self) -> Mapping[str, str]:
        """The settings with which a gateway uses it, by their names."""
        return {
            "TELNYX_API_KEY": _ANY_KEY,
            "TELNYX_PUBLIC_KEY": self._server.public_key,
            "TELNYX_BASE_URL": self._server.base_url,
        }

    @property
    def calls(self) -> Sequence[str]:
        """The control ids of the calls that exist from the start."""
        return SandboxSettings().calls

    @property
    def lines(self) -> Sequence[str]:
        """What a person must know to use it, a line each."""
        address = self._server.base_url.removesuffix("/v2")
        return (
            f"simulated provider on {self._server.base_url}",
            f"calls to use: {', '.join(self.calls)}",
            f"to create another call: curl -X POST {address}/_sandbox/calls",
        )

    def post_webhooks_to(self, url: str, failover_url: str | None = None) -> None:
        """Post webhooks to a URL from now on, and to another one what it does not take."""
        self._server.control.set_webhook_url(url, failover_url)

    @asynccontextmanager
    async def playing(self, gateway: str | None, tell: Tell) -> AsyncIterator[None]:
        """Play the piece, if there is one, as long as the context is open.

        A scenario's commands go through the gateway that serves gRPC in clear at this address, or
        None: straight to the simulated provider. `tell` gets a line for each step.
        """
        if self.piece is None:
            yield
            return
        what, loop = self.piece.what, self.piece.loop
        if isinstance(what, Script) and gateway is not None:
            async with grpc.aio.insecure_channel(gateway) as channel:
                stage = GatewayStage(channel, self._server.control)
                clock = RealClock(self._speed)
                performance = Performance(what, stage, clock, lambda it: tell(it.line))
                player = Player()
                player.start(performance, loop=loop, on_end=lambda it: tell(ended(what.name, it)))
                try:
                    yield
                finally:
                    await player.stop()
            return
        if isinstance(what, Script):
            self._server.play(what, loop=loop, tell=tell)
        else:
            self._server.replay(what, loop=loop, tell=tell)
        try:
            yield
        finally:
            # A gateway that goes takes no more webhooks.
            await asyncio.to_thread(self._server.control.stop_playing)


def scenario_lines() -> Iterator[str]:
    """Yield a line for each scenario of the package: its name, how long it is, what it is."""
    for name in shipped_names():
        script = shipped_script(name)
        minutes, seconds = divmod(int(script.length), 60)
        yield f"{name:<14} {minutes}:{seconds:02}  {script.title}"


@contextmanager
def simulated(speed: float = 1.0, piece: Piece | None = None) -> Iterator[Simulation]:
    """Run a simulated provider on a free port; `speed` is how fast time passes in it."""
    with SandboxServer(SandboxSettings(speed=speed)) as server:
        yield Simulation(server, speed, piece)


def alone(
    host: str,
    port: int,
    webhook_url: str | None,
    speed: float,
    say: Tell,
    piece: Piece | None = None,
    tell: Tell = lambda _: None,
) -> Coroutine[Any, Any, None]:
    """Return what runs a simulated provider, and plays the piece in it, until cancelled.

    `say` is given the lines that tell how a gateway uses it, once it is ready; `tell` one for each
    step that is played. Raises ValueError for arguments that make no sense; the coroutine raises
    OSError if the port is taken.
    """
    settings = SandboxSettings(host=host, port=port, webhook_url=webhook_url, speed=speed)

    def ready(running: RunningSandbox) -> None:
        say(f"simulated Telnyx: TELNYX_BASE_URL={running.base_url}")
        say(f"public key:       TELNYX_PUBLIC_KEY={running.public_key}")
        say(f"any API key:      TELNYX_API_KEY={_ANY_KEY}")
        say(f"calls to use:     {' '.join(settings.calls)}")
        match piece:
            case Piece(what=Script() as script):
                running.plays.play(script, loop=piece.loop, tell=tell)
            case Piece(what=Recording() as recording):
                running.plays.replay(recording, loop=piece.loop, tell=tell)

    return serve_forever(settings, on_ready=ready)
