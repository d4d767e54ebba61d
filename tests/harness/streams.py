"""Streams of real NATS servers, asked for from outside: by other code than the gateway's."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import ServiceUnavailableError

from tests.harness.nats import NatsCluster

# How long anything may take with servers that have just been started, in seconds.
_PATIENCE_S = 50

# How long one of them may take, or nothing, in seconds: another one is asked then.
_RESPONSE_S = 1
_AGAIN_S = 0.05

# What a server answers that has no leader yet, and one that does not know all of its peers yet.
_UNAVAILABLE, _NO_PEERS = 503, 10005
_NOT_NOW = {"error": {"code": _UNAVAILABLE}}

# What passes by itself: an election, a connection that breaks.
_PASSING = (
    nats.errors.TimeoutError,
    nats.errors.NoRespondersError,
    nats.errors.ConnectionClosedError,
    ServiceUnavailableError,
    OSError,
)

# Messages asked for at a time.
_BATCH = 500

# A message: version, fingerprint of the keys, time of receipt, how many keys, and the lengths of
# id, type and body; that of each key; then all of these, and at the end the signed bytes.
_HEAD = struct.Struct(">B8sqHIII")


@asynccontextmanager
async def connected(cluster: NatsCluster) -> AsyncIterator[Client]:
    """A connection to any of some servers."""

    async def quiet(_: Exception) -> None:
        """They are killed and held by the tests."""

    client = await nats.connect(
        [f"nats://{it}" for it in cluster.addresses],
        error_cb=quiet,
        connect_timeout=_RESPONSE_S,
        reconnect_time_wait=_AGAIN_S,
        ping_interval=_RESPONSE_S,
    )
    try:
        yield client
    finally:
        await client.close()


async def asked(cluster: NatsCluster, subject: str, body: bytes = b"") -> Any:
    """Ask any of some servers something until one responds that can do it.

    What is asked may have been done before, if only its response was late.
    """
    async with asyncio.timeout(_PATIENCE_S), connected(cluster) as client:
        while True:
            try:
                found = json.loads((await client.request(subject, body, timeout=_RESPONSE_S)).data)
            except (nats.errors.Error, OSError):
                found = _NOT_NOW  # they elect a leader
            error = found.get("error", {})
            if error.get("code") != _UNAVAILABLE and error.get("err_code") != _NO_PEERS:
                return found
            await asyncio.sleep(_AGAIN_S)


async def leader_of(cluster: NatsCluster, stream: str) -> str:
    """Return the name of the server that leads a stream."""
    if cluster.replicas == 1:
        return cluster.servers[0].name
    while True:
        info = await asked(cluster, f"$JS.API.STREAM.INFO.{stream}")
        if leader := info.get("cluster", {}).get("leader"):
            return str(leader)
        await asyncio.sleep(_AGAIN_S)


async def step_down(cluster: NatsCluster, stream: str) -> None:
    """Have the leader of a stream give up its place."""
    await asked(cluster, f"$JS.API.STREAM.LEADER.STEPDOWN.{stream}")


async def span_of(cluster: NatsCluster, stream: str) -> tuple[int, int]:
    """Return the number before the first that a stream holds, and the last that it has given."""
    state = (await asked(cluster, f"$JS.API.STREAM.INFO.{stream}"))["state"]
    newest = int(state["last_seq"])
    return int(state["first_seq"]) - 1 if state["messages"] else newest, newest


class Stored:
    """A message of a log's stream, taken apart."""

    def __init__(self, sequence: int, data: bytes) -> None:
        version, _, self.received_at_us, count, id_, type_, body = _HEAD.unpack_from(data)
        assert version == 1
        self.sequence = sequence
        lengths = struct.unpack_from(f">{count}I", data, _HEAD.size)
        at = _HEAD.size + struct.calcsize(f">{count}I")
        self.id = data[at : at + id_].decode()
        at += id_ + type_ + sum(lengths)
        self.body, self.raw = data[at : at + body], data[at + body :]


async def stored_in(cluster: NatsCluster, stream: str) -> tuple[list[Stored], int]:
    """Return all messages of a log's stream, and the number before the first that it holds.

    Read again where the servers elect a leader meanwhile, or lose the reader's place.
    """
    async with asyncio.timeout(_PATIENCE_S), connected(cluster) as client:
        while True:
            try:
                return await _read(client.jetstream(timeout=_RESPONSE_S), stream)
            except _PASSING:
                await asyncio.sleep(_AGAIN_S)


async def _read(jetstream: JetStreamContext, stream: str) -> tuple[list[Stored], int]:
    state = (await jetstream.stream_info(stream)).state
    pulled = await jetstream.pull_subscribe(
        f"{stream}.*",
        stream=stream,
        config=ConsumerConfig(ack_policy=AckPolicy.NONE, mem_storage=True, num_replicas=1),
    )
    found: list[Stored] = []
    while len(found) < state.messages:
        for message in await pulled.fetch(_BATCH, timeout=_RESPONSE_S):
            found.append(Stored(message.metadata.sequence.stream, message.data))
    await pulled.unsubscribe()
    return found, state.first_seq - 1 if state.messages else state.last_seq
