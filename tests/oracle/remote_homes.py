"""Homes of the log for whole gateways: what they are started with, and how their log is read."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.harness.loop import LoopThread
from tests.harness.nats import NatsCluster, delete_streams, one_server, running, with_nats
from tests.oracle.remote import RemoteLog
from tests.oracle.stream import read_stream

# More than any test stores; a server reserves it.
_SIZE_MAX = "256MiB"

# What anything may take on the slowest machine, in seconds.
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class RemoteHome:
    """Where the log of a gateway is: the settings that say so, and what is read of it."""

    env: Mapping[str, str]
    log: RemoteLog
    # The server that keeps it, if one does.
    cluster: NatsCluster | None = None


Made: TypeAlias = Callable[[Path], AbstractContextManager[RemoteHome]]
"""Makes a home for one more log, in a folder."""


@contextmanager
def in_file(folder: Path) -> Iterator[RemoteHome]:
    path = folder / "events.db"
    yield RemoteHome({"GATEWAY_EVENT_LOG": f"sqlite:///{path}"}, RemoteLog.in_file(path))


@contextmanager
def _in_stream(loop: LoopThread, cluster: NatsCluster, folder: Path) -> Iterator[RemoteHome]:
    name = f"S{secrets.token_hex(4)}"
    log = RemoteLog(lambda: read_stream(loop, cluster, name, log.model.era.epoch))
    env = {
        "GATEWAY_EVENT_LOG": cluster.url(name),
        "GATEWAY_INDEX": str(folder / "index.db"),
        "GATEWAY_RETENTION_SIZE": _SIZE_MAX,
    }
    yield RemoteHome(env, log, cluster)
    loop.run(delete_streams(cluster, name), _PATIENCE_S)


@contextmanager
def made_in(home: str, loop: LoopThread, folder: Path, sync: str = "always") -> Iterator[Made]:
    """Have logs made in a home, by its name; a server syncs each event, or every so often."""
    if home == "sqlite":
        yield in_file
        return
    with running(one_server(folder, sync=sync)) as cluster:
        yield lambda of_log: _in_stream(loop, cluster, of_log)


HOMES = ("sqlite", pytest.param("jetstream-1", marks=with_nats))
