"""What the servers and the stream are like, for who looks before a gateway starts. Asks only."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.journal.errors import LogOpenError, LogUnavailableError
from gateway.journal.jetstream.access import Access, StreamPlace
from gateway.journal.jetstream.api import JetStreamApi, Json, StreamInfo, result_of
from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.errors import RefusedError
from gateway.journal.jetstream.stream import differences, marks_in
from gateway.journal.moves import AS_IT_WAS


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server that let the gateway in: its version, its cluster if it is of one, its limits.

    `has_jetstream` is None if it does not say.
    """

    version: str
    cluster: str
    payload_max: int
    has_jetstream: bool | None


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """A stream: what is wrong with it as a log, how much it holds, and who keeps it.

    `max_bytes` is None if it may grow for ever, `message_max` if a message may be as large as the
    server takes. `lacking` are servers that should have it and are away or behind.
    """

    wrong: Sequence[str]
    moved: str | None
    size_bytes: int
    max_bytes: int | None
    message_max: int | None
    replicas: int
    lacking: Sequence[str]


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found, up to where something failed. `reserved_left` is None if there is no limit.

    `not_let_in` says that `failure` is about what the gateway shows, `not_told` that the servers
    did not answer a question.
    """

    failure: str = ""
    not_let_in: bool = False
    server: ServerFacts | None = None
    not_told: str = ""
    storage_left: int | None = None
    stream: StreamFacts | None = field(default=None)


async def examine(place: StreamPlace, access: Access) -> Examined:
    """Look at the servers and the stream. Never raises for them."""
    try:
        broker = await Broker.connect_now(place, access)
    except LogOpenError as error:
        return Examined(str(error), not_let_in="uthoriz" in str(error))
    server = _server(broker.server)
    left: int | None = None
    try:
        left = _left(result_of((await broker.request("$JS.API.INFO")).data))
        found = await JetStreamApi(broker, place.stream).info()
    except RefusedError as error:
        return Examined(server=server, not_told=error.description, storage_left=left)
    except LogUnavailableError as error:
        return Examined(server=server, not_told=str(error), storage_left=left)
    finally:
        await broker.close()
    stream = None if found is None else _stream(place.stream, found)
    return Examined(server=server, storage_left=left, stream=stream)


def _server(said: Json) -> ServerFacts:
    return ServerFacts(
        str(said.get("version", "")),
        str(said.get("cluster", "")),
        int(said.get("max_payload", 0)),
        said.get("jetstream"),
    )


def _left(account: Json) -> int | None:
    """Return how many bytes an account may still keep, None if it has no limit."""
    most = int(account.get("limits", {}).get("max_storage", -1))
    taken = max(int(account.get("storage", 0)), int(account.get("reserved_storage", 0)))
    return None if most < 0 else most - taken


def _stream(name: str, found: StreamInfo) -> StreamFacts:
    config = found.config
    return StreamFacts(
        differences(name, config),
        AS_IT_WAS.refusal(marks_in(config), name),
        found.size_bytes,
        _limit(config.get("max_bytes")),
        _limit(config.get("max_msg_size")),
        int(config["num_replicas"]),
        [str(it["name"]) for it in found.peers if it.get("offline") or not it.get("current")],
    )


def _limit(value: Any) -> int | None:
    return None if value is None or int(value) <= 0 else int(value)
