"""Real NATS servers with JetStream, one or three: started, stopped, killed and held by tests.

Each has its folder and its port for as long as it lives, so that it can be started again. They sync
every message, as a gateway's servers must, where nothing else is said.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import nats
import pytest

from tests.harness.holding import go_on, hold
from tests.harness.ports import free_ports

# It comes with a package, so beside the interpreter.
SERVER = shutil.which("nats-server", path=f"{Path(sys.executable).parent}:{os.defpath}")

with_nats = pytest.mark.skipif(
    SERVER is None and not os.environ.get("CI"), reason="runs nats-server, which is not here"
)

# What a server, or three of them, may take to be ready on the slowest machine, in seconds.
_PATIENCE_S = 60.0
_LOOK_EVERY_S = 0.02

_CONFIG = """
server_name: {name}
host: 127.0.0.1
port: {port}
jetstream {{ store_dir: {store}, sync_interval: {sync} }}
{more}
"""

# Clients go where they are sent and nowhere else, so that something can stand in their way.
_CLUSTER = """
cluster {{
  name: test
  host: 127.0.0.1
  port: {port}
  routes: [{routes}]
  no_advertise: true
  advertise: {advertise}
}}
"""

# Where nobody listens: servers find each other by their routes, and tell each other no others.
_NOWHERE = "127.0.0.1:9"


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for something to hold."""
    ends = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < ends, f"{what}: not within {_PATIENCE_S:.0f} s"
        time.sleep(_LOOK_EVERY_S)


class NatsServer:
    """One server. It does not run until `start` is called.

    `more` is what its configuration has beside ports and JetStream.
    """

    def __init__(
        self, folder: Path, port: int, name: str = "n1", more: str = "", sync: str = "always"
    ) -> None:
        self.folder, self.port, self.name = folder, port, name
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.configure(more, sync)

    def configure(self, more: str, sync: str = "always") -> None:
        """Give it another configuration, which holds from its next start or `reload` on."""
        text = _CONFIG.format(
            name=self.name,
            port=self.port,
            store=json.dumps(str(self.folder / "store")),
            sync=sync,
            more=more,
        )
        (self.folder / "nats.conf").write_text(text)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def store(self) -> Path:
        """Where it keeps its streams."""
        return self.folder / "store"

    @property
    def output(self) -> str:
        return (self.folder / "output.txt").read_text()

    def start(self) -> None:
        assert SERVER is not None, "nats-server is not installed"
        assert self._process is None
        with (self.folder / "output.txt").open("ab") as output:
            command = [SERVER, "-c", str(self.folder / "nats.conf")]
            self._process = subprocess.Popen(command, stdout=output, stderr=output)

    def wait(self) -> None:
        """Wait until it takes connections."""
        until(self._accepts, f"{self.name} is ready")

    def kill(self) -> None:
        """End it without a chance to write anything."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as an operator would."""
        self._end(signal.SIGTERM)

    def reload(self) -> None:
        """Have it take up its configuration while it runs."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def hold(self) -> None:
        """Have it do nothing, with all its connections open, until `go_on`."""
        assert self._process is not None
        hold(self._process)

    def go_on(self) -> None:
        assert self._process is not None
        go_on(self._process)

    def restart(self) -> None:
        self.start()
        self.wait()

    @property
    def runs(self) -> bool:
        return self._process is not None

    def _accepts(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.output
        try:
            with closing(socket.create_connection(("127.0.0.1", self.port), timeout=1)) as one:
                return one.recv(4) == b"INFO"
        except OSError:
            return False

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            if number != signal.SIGKILL:
                # One that is held would never hear of it. To be killed it must not go on first.
                go_on(self._process)
            self._process.wait(_PATIENCE_S)
            self._process = None


class NatsCluster:
    """Some servers that belong together: one, or three that elect a leader."""

    def __init__(self, servers: Sequence[NatsServer]) -> None:
        self.servers = servers

    @property
    def replicas(self) -> int:
        return len(self.servers)

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(it.address for it in self.servers)

    def url(self, stream: str) -> str:
        """Return what `GATEWAY_EVENT_LOG` is for a stream of theirs."""
        return f"nats://{','.join(self.addresses)}/{stream}"

    def of_name(self, name: str) -> NatsServer:
        return next(it for it in self.servers if it.name == name)

    def start(self) -> None:
        for server in self.servers:
            server.start()
        for server in self.servers:
            server.wait()
        if len(self.servers) > 1:
            elected = "JetStream cluster new metadata leader"
            until(lambda: any(elected in it.output for it in self.servers), "they have a leader")

    def kill(self) -> None:
        for server in self.servers:
            server.kill()


def one_server(folder: Path, more: str = "", sync: str = "always") -> NatsCluster:
    (port,) = free_ports(1)
    return NatsCluster([NatsServer(folder / "n1", port, more=more, sync=sync)])


def three_servers(
    folder: Path,
    more: str = "",
    way: Callable[[int, int, int], int] | None = None,
    sync: str = "always",
) -> NatsCluster:
    """Make three servers. `way` gives the port by which one goes to another's port, by number."""
    ports = free_ports(6)
    clusters = ports[3:]

    def routes(number: int) -> str:
        to = [
            port if way is None else way(number, other, port)
            for other, port in enumerate(clusters)
            if other != number
        ]
        return ", ".join(f"nats://127.0.0.1:{it}" for it in to)

    return NatsCluster(
        [
            NatsServer(
                folder / f"n{number + 1}",
                ports[number],
                f"n{number + 1}",
                _CLUSTER.format(port=clusters[number], routes=routes(number), advertise=_NOWHERE)
                + more,
                sync,
            )
            for number in range(3)
        ]
    )


# Larger messages than any webhook makes, for checks that append such events.
_ROOMY = "max_payload: 8MB"

# A server's own default.
_SELDOM = "2m"


class SharedServers:
    """One server, and three, that are started when somebody asks for them.

    None of them is killed, so they need not sync.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._started: dict[int, NatsCluster] = {}

    def of(self, replicas: int) -> NatsCluster:
        if replicas not in self._started:
            folder = Path(self._stack.enter_context(TemporaryDirectory()))
            make = one_server if replicas == 1 else three_servers
            made = make(folder, _ROOMY, sync=_SELDOM)
            self._started[replicas] = self._stack.enter_context(running(made))
        return self._started[replicas]

    def close(self) -> None:
        self._started = {}
        self._stack.close()


async def published(cluster: NatsCluster, subject: str, data: bytes) -> None:
    """Store a message in whichever stream takes it, as a foreign program would."""
    client = await nats.connect([f"nats://{it}" for it in cluster.addresses])
    await client.request(subject, data, timeout=_PATIENCE_S)
    await client.close()


async def delete_streams(cluster: NatsCluster, *names: str) -> None:
    client = await nats.connect([f"nats://{it}" for it in cluster.addresses])
    for name in names:
        await client.request(f"$JS.API.STREAM.DELETE.{name}", b"", timeout=_PATIENCE_S)
    await client.close()


@contextmanager
def running(cluster: NatsCluster) -> Iterator[NatsCluster]:
    """Have servers run, and end at the end."""
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()
