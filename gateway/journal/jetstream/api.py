"""JetStream's API: requests and responses in JSON (docs.nats.io, "JetStream wire API").

What the client library offers instead lacks fields of newer servers, and hides which request is
sent when.
"""

import asyncio
import base64
import json
from collections.abc import Sequence
from time import monotonic
from typing import Any, NamedTuple

from gateway.journal.jetstream.broker import ASK_AGAIN_S, Broker
from gateway.journal.jetstream.errors import BrokerError, RefusedError
from gateway.journal.reading import Span

# Reasons that a server gives (server/errors.json of nats-server).
NO_MESSAGE = 10037
NO_STREAM = 10059
OTHER_CONFIG = 10058
NO_CLUSTER = 10074

# Reasons that pass when the servers have found one another and elected a leader.
PASSING = frozenset({10004, 10005, 10008, 10009})

# How long a leader has to hear from most of its peers, and how often it is asked meanwhile, in
# seconds: it sends them something every second.
_CERTAIN_WITHIN_S = 3.0
_ASK_CERTAIN_S = 0.1

Json = dict[str, Any]


class StoredMessage(NamedTuple):
    """A message of a stream: its number and its bytes."""

    sequence: int
    data: bytes


class StreamInfo(NamedTuple):
    """What a stream is, and which numbers it holds."""

    config: Json
    span: Span
    size_bytes: int
    # What is known of the servers that keep it beside its leader.
    peers: Sequence[Json] = ()


class JetStreamApi:
    """Asks the servers about one stream. Every method raises BrokerError and RefusedError."""

    def __init__(self, broker: Broker, stream: str) -> None:
        self._broker = broker
        self.stream = stream

    @property
    def is_within_reach(self) -> bool:
        """Whether somebody can be asked."""
        return self._broker.problem is None

    async def info(self) -> StreamInfo | None:
        """Return what the stream is, None if there is none."""
        try:
            return _info(await self._asked("STREAM.INFO", {}))
        except RefusedError as error:
            if error.code == NO_STREAM:
                return None
            raise

    async def certain_info(self) -> StreamInfo | None:
        """Return what the stream is, and has, now, as most of its servers agree.

        A leader that the network parts from the others takes itself for the leader for some ten
        seconds more, and does not know what they have stored since. So it must have heard from most
        of them since it was asked first, as it does every second. Raises BrokerError if it has not
        in time.
        """
        began = monotonic()
        while True:
            asked = monotonic()
            found = await self.info()
            if found is None or _has_majority(found.peers, asked - began):
                return found
            if monotonic() - began > _CERTAIN_WITHIN_S:
                raise BrokerError(
                    f"the leader of the stream {self.stream} does not hear from the other servers"
                )
            await asyncio.sleep(_ASK_CERTAIN_S)

    async def create(self, config: Json) -> StreamInfo:
        """Make the stream, or find it there with the very same configuration."""
        return _info(await self._asked("STREAM.CREATE", config))

    async def update(self, config: Json) -> StreamInfo:
        """Give the stream another configuration."""
        return _info(await self._asked("STREAM.UPDATE", config))

    async def purge_through(self, number: int) -> None:
        """Delete everything up to a number."""
        await self._asked("STREAM.PURGE", {"seq": number + 1})

    async def message(self, **which: int | str) -> StoredMessage | None:
        """Return one message, by `seq` or by `last_by_subj`; None if it is not held.

        The leader says so.
        """
        try:
            found = (await self._asked("STREAM.MSG.GET", which))["message"]
        except RefusedError as error:
            if error.code == NO_MESSAGE:
                return None
            raise
        return StoredMessage(int(found["seq"]), base64.b64decode(found.get("data", "")))

    async def create_consumer(self, name: str, config: Json) -> None:
        """Make a consumer of some name, or find it there."""
        asked = {"stream_name": self.stream, "config": {"name": name, **config}}
        await self._asked("CONSUMER.CREATE", asked, f".{name}")

    async def _asked(self, what: str, body: Json, more: str = "") -> Json:
        """Ask; everything that is asked here may be asked twice."""
        subject = f"$JS.API.{what}.{self.stream}{more}"
        data = json.dumps(body).encode()
        response = await self._broker.request(subject, data, again_s=ASK_AGAIN_S)
        return result_of(response.data)


def result_of(response: bytes) -> Json:
    """Return what a response says. Raises RefusedError, and BrokerError for what is no response."""
    try:
        found = json.loads(response)
    except ValueError:
        raise BrokerError("the broker's response cannot be read") from None
    if not isinstance(found, dict):
        raise BrokerError("the broker's response cannot be read")
    if (error := found.get("error")) is not None:
        raise RefusedError(int(error.get("err_code", 0)), str(error.get("description", "")))
    return found


def _has_majority(peers: Sequence[Json], within_s: float) -> bool:
    """Return whether a leader has heard from so many peers lately that it is the leader still.

    What a peer says of itself is when it was heard of last, in nanoseconds ago; zero, if never.
    """
    heard = sum(0 < int(it.get("active", 0)) <= within_s * 1e9 for it in peers)
    return 2 * (heard + 1) > len(peers) + 1


def _info(found: Json) -> StreamInfo:
    state = found["state"]
    newest = int(state["last_seq"])
    # A stream that never held anything says that its first number is zero; one that holds nothing
    # any more, that it is the next one.
    oldest = int(state["first_seq"]) or newest + 1
    peers = (found.get("cluster") or {}).get("replicas") or ()
    return StreamInfo(found["config"], Span(oldest, newest), int(state["bytes"]), peers)
