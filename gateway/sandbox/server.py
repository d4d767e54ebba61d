"""The sandbox behind a socket: in a thread of its own, or as a coroutine in a loop that runs."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from types import TracebackType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.sandbox.assembly import Sandbox
from gateway.sandbox.control import SandboxControl
from gateway.sandbox.http import TRANSPORT
from gateway.sandbox.scenario.plays import Plays, Tell, to_nobody
from gateway.sandbox.scenario.replay import Recording
from gateway.sandbox.scenario.script import Script
from gateway.sandbox.settings import SandboxSettings

# Idle connections stay open that long; longer than clients usually pool them.
_KEEP_ALIVE_S = 75

# How often the server refreshes its date header and looks whether it is to stop.
_TICK_S = 0.1

# Real seconds that requests in flight have to complete when the server stops.
_STOP_MAX_S = 1

_BACKLOG = 2048
_START_MAX_S = 30.0


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """Where a sandbox that is ready can be reached."""

    # What to give a client of the provider as its base address; ends in `/v2`.
    base_url: str
    # Scheme, host and port, for `SandboxControl`.
    address: str
    # Verifies webhooks; base64.
    public_key: str
    # Plays scenarios and recorded feeds; to be used on the sandbox's own event loop.
    plays: Plays = field(repr=False)


class SandboxServer:
    """A sandbox in a thread with an event loop of its own, as a context manager.

    It is ready when `with` is entered. Entering raises OSError when the port is taken.
    """

    def __init__(self, settings: SandboxSettings | None = None) -> None:
        self._settings = settings or SandboxSettings()
        self._running: RunningSandbox | None = None
        self._failure: BaseException | None = None
        self._settled = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    @property
    def base_url(self) -> str:
        """What to give a client of the provider as its base address; ends in `/v2`."""
        return self._ready.base_url

    @property
    def address(self) -> str:
        """Scheme, host and port."""
        return self._ready.address

    @property
    def public_key(self) -> str:
        """Verifies webhooks; base64."""
        return self._ready.public_key

    @property
    def control(self) -> SandboxControl:
        """A client of the control API."""
        return SandboxControl(self._ready.address)

    def play(self, script: Script, *, loop: bool = False, tell: Tell = to_nobody) -> None:
        """Start a scenario; `tell` gets a line for each step, in the sandbox's thread."""
        plays = self._ready.plays
        self._soon(lambda: plays.play(script, loop=loop, tell=tell))

    def replay(self, recording: Recording, *, loop: bool = False, tell: Tell = to_nobody) -> None:
        """Start to send a recorded feed; `tell` gets lines, in the sandbox's thread."""
        plays = self._ready.plays
        self._soon(lambda: plays.replay(recording, loop=loop, tell=tell))

    def __enter__(self) -> "SandboxServer":
        self._thread = threading.Thread(target=self._main, name="sandbox", daemon=True)
        self._thread.start()
        if not self._settled.wait(_START_MAX_S):
            raise TimeoutError(f"the sandbox was not ready within {_START_MAX_S} s")
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._loop is not None and self._stop is not None:
            # The loop may have ended by itself, with an error that was already reported.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join()
        self._running = None

    @property
    def _ready(self) -> RunningSandbox:
        if self._running is None:
            raise RuntimeError("the sandbox is not running: use it inside 'with SandboxServer()'")
        return self._running

    def _soon(self, action: Callable[[], None]) -> None:
        """Have it done on the sandbox's event loop."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(action)

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self._serve())
        except BaseException as failure:
            self._failure = failure
        finally:
            self._settled.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        await _run(self._settings, self._on_ready, self._stop)

    def _on_ready(self, running: RunningSandbox) -> None:
        self._running = running
        self._settled.set()


async def serve_forever(
    settings: SandboxSettings, on_ready: Callable[[RunningSandbox], None] | None = None
) -> None:
    """Run a sandbox in this loop until cancelled; then close it and end as cancelled.

    `on_ready` is called once the port serves requests. No signal handlers are installed. Raises
    OSError when the port is taken.
    """
    await _run(settings, on_ready or (lambda _: None), asyncio.Event())


async def _run(
    settings: SandboxSettings, on_ready: Callable[[RunningSandbox], None], stop: asyncio.Event
) -> None:
    with _listen(settings.host, settings.port) as listener:
        sandbox = Sandbox(settings)
        server = _Server(_config(sandbox))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        stopping = asyncio.create_task(stop.wait())
        try:
            ready = asyncio.ensure_future(server.ready.wait())
            await asyncio.wait((serving, ready), return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                ready.cancel()
                raise RuntimeError("the sandbox's HTTP server ended before it was ready")
            host, port = listener.getsockname()[:2]
            address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            on_ready(RunningSandbox(f"{address}/v2", address, sandbox.public_key, sandbox.plays))
            await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            server.leave()
            await serving
            await sandbox.close()


class _Protocol(HttpToolsProtocol):
    """Hands the connection to the application, which closes it when a fault says so."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][TRANSPORT] = self.transport


class _Server(uvicorn.Server):
    """A server that says when it is ready, stops at once, and leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        self.should_exit = True
        self._leaving.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        counter = 0
        while not await self.on_tick(counter):
            counter = (counter + 1) % 864_000
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), _TICK_S)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # The base class pauses for a fixed time, which a test suite pays for at every test.
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if tasks := set(self.server_state.tasks):
            _, late = await asyncio.wait(tasks, timeout=_STOP_MAX_S)
            for task in late:
                task.cancel()
        await asyncio.sleep(0)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def _config(sandbox: Sandbox) -> uvicorn.Config:
    return uvicorn.Config(
        sandbox,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the fastest event loop that is installed."""
    try:
        import uvloop  # noqa: PLC0415 - it exists on some platforms only
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
