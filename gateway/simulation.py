"""The simulated provider, as commands use it: behind a gateway, or alone.

The only module that imports the sandbox. Commands import it when they are run, so that a gateway
of a real provider loads neither the sandbox nor its libraries.
"""

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gateway.sandbox import RunningSandbox, SandboxServer, SandboxSettings, serve_forever

_ANY_KEY = "sandbox"


@dataclass(frozen=True, slots=True)
class Simulation:
    """A simulated provider that runs."""

    _server: SandboxServer

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


@contextmanager
def simulated(speed: float = 1.0) -> Iterator[Simulation]:
    """Run a simulated provider on a free port; `speed` is how fast time passes in it."""
    with SandboxServer(SandboxSettings(speed=speed)) as server:
        yield Simulation(server)


def alone(
    host: str, port: int, webhook_url: str | None, speed: float, say: Callable[[str], None]
) -> Coroutine[Any, Any, None]:
    """Return what runs a simulated provider until cancelled.

    `say` is given the lines that tell how a gateway uses it, once it is ready. Raises ValueError
    for arguments that make no sense; the coroutine raises OSError if the port is taken.
    """
    settings = SandboxSettings(host=host, port=port, webhook_url=webhook_url, speed=speed)

    def ready(running: RunningSandbox) -> None:
        say(f"simulated Telnyx: TELNYX_BASE_URL={running.base_url}")
        say(f"public key:       TELNYX_PUBLIC_KEY={running.public_key}")
        say(f"any API key:      TELNYX_API_KEY={_ANY_KEY}")
        say(f"calls to use:     {' '.join(settings.calls)}")

    return serve_forever(settings, on_ready=ready)
