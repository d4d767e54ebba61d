"""The stream: made as the log needs it, or checked, with words for what is otherwise.

Who runs the broker may make it first, with limits and replicas of their own choice; what the log
relies on is not theirs to choose.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.journal.errors import LogOpenError
from gateway.journal.jetstream import subjects
from gateway.journal.jetstream.api import (
    NO_CLUSTER,
    OTHER_CONFIG,
    JetStreamApi,
    Json,
    StreamInfo,
)
from gateway.journal.jetstream.durability import Durability
from gateway.journal.jetstream.errors import BrokerError, RefusedError
from gateway.journal.moves import ARRIVING, AS_IT_WAS, Marks, Opening, marks_of
from gateway.journal.ports import EPOCH_BYTES
from gateway.journal.reading import Span
from gateway.journal.retention import Retention

# Under which the stream's metadata has the log's identity, in hexadecimal digits.
EPOCH = "telnyx-gateway-epoch"

# And before the names of what it says of moves.
_MARK = "telnyx-gateway-"

# Copies of each message where the servers are a cluster: one of them may be lost at any time.
_REPLICAS = 3

_NANOSECONDS = 10**9

# What a limit says that there is none.
_NO_LIMIT = -1

# And what stands for that here: longer than any log, in seconds, and larger than any, in bytes.
_FOR_EVER_S, ANY_SIZE = 3650 * 86_400.0, 2**50


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream that is fit to be a log: its identity, its own limits, and how safe it is.

    `span` are the numbers that it held when it was looked at, `message_max` how large a message may
    be, in bytes. `marks` is what it says of moves.
    """

    epoch: bytes
    span: Span
    retention: Retention
    durability: Durability
    message_max: int
    marks: Marks


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a field of the configuration must be, in words and as a check."""

    must: str
    holds: Callable[[Any], bool]


def _is(*values: object) -> _Rule:
    return _Rule(str(values[0]), lambda it: it in values)


# By field, as the API names them. What is absent has the first of these values.
_RULES: Mapping[str, _Rule] = {
    # Memory is lost with the process.
    "storage": _is("file"),
    # What is acknowledged must have been synced, if the server syncs at all.
    "persist_mode": _is("default", "", None),
    "retention": _is("limits"),
    # A full stream must take new events, and let the oldest go.
    "discard": _is("old"),
    "no_ack": _is(False, None),
    "allow_atomic": _is(True),
    # Counted by id there would be at most one event, and its number would change.
    "max_msgs_per_subject": _is(_NO_LIMIT, 0, None),
    "sealed": _is(False, None),
    "mirror": _is(None),
    "sources": _is(None),
    # Ids would go to other subjects.
    "subject_transform": _is(None),
}


async def opened_stream(api: JetStreamApi, limits: Retention, opening: Opening) -> Stream:
    """Make the stream if there is none, with some limits and as the opening says; else check it.

    Raises LogOpenError, BrokerError and RefusedError.
    """
    found = await api.info() or await made(api, limits, opening)
    opening.check(marks_in(found.config), api.stream)
    return stream_of(api.stream, found)


def stream_of(name: str, found: StreamInfo) -> Stream:
    """Return what a stream is as a log. Raises LogOpenError if it cannot be one."""
    wrong = [*differences(name, found.config)]
    if wrong:
        raise LogOpenError(
            f"the stream {name} cannot hold the event log: {'; '.join(wrong)}. Change it with `nats"
            " stream edit`, or name another one with GATEWAY_EVENT_LOG, which the gateway makes"
        )
    config, epoch = found.config, epoch_of(found.config)
    assert epoch is not None  # or it would be among what is wrong
    message_max = int(config.get("max_msg_size") or 0)
    return Stream(
        epoch,
        found.span,
        _retention_of(config),
        Durability(int(config["num_replicas"])),
        message_max if message_max > 0 else ANY_SIZE,
        marks_in(config),
    )


def epoch_of(config: Json) -> bytes | None:
    """Return the identity of the log that a stream says it holds, None if it says none."""
    text = (config.get("metadata") or {}).get(EPOCH, "")
    try:
        epoch = bytes.fromhex(text)
    except ValueError:
        return None
    return epoch if len(epoch) == EPOCH_BYTES else None


def mark(name: str) -> str:
    """Return under which name the metadata has a mark of a move."""
    return f"{_MARK}{name}"


def marks_in(config: Json) -> Marks:
    """Return what a stream says of moves."""
    return marks_of((config.get("metadata") or {}).get, mark)


async def made(api: JetStreamApi, limits: Retention, opening: Opening = AS_IT_WAS) -> StreamInfo:
    """Make the stream, which is not there; return what it is, if another gateway was sooner, too.

    Raises BrokerError and RefusedError.
    """
    epoch, arrival = secrets.token_bytes(EPOCH_BYTES), opening.arrival
    config = {
        "name": api.stream,
        "description": "Events of Telnyx, by telnyx-gateway.",
        "subjects": [subjects.events_of(api.stream)],
        "storage": "file",
        "retention": "limits",
        "discard": "old",
        "max_age": round(limits.age_s * _NANOSECONDS),
        "max_bytes": limits.size_bytes,
        "allow_atomic": True,
        "allow_direct": True,
        "first_seq": opening.begins_at,
        "metadata": {EPOCH: epoch.hex()}
        if arrival is None
        else {EPOCH: arrival.epoch.hex(), mark(ARRIVING): str(arrival.move)},
    }
    try:
        return await create(api, config)
    except RefusedError as error:
        if error.code != OTHER_CONFIG:
            raise
    # Another gateway is making it, with an identity of its own making. Whom a cluster asks may not
    # know of it yet.
    found = await api.info()
    if found is None:
        raise BrokerError(f"the stream {api.stream} is being made by another gateway")
    return found


async def renew(api: JetStreamApi, epoch: bytes) -> None:
    """Give the stream another epoch than this one, unless it has another already.

    There is no compare and set for configurations. So it looks first; of two that do this in the
    same milliseconds the later wins, and no epoch that was given is ever given again. Raises
    BrokerError and RefusedError.
    """
    found = await api.info()
    if found is None or epoch_of(found.config) != epoch:
        return
    metadata = {**found.config["metadata"], EPOCH: secrets.token_hex(EPOCH_BYTES)}
    await api.update({**found.config, "metadata": metadata})


async def create(api: JetStreamApi, config: Json) -> StreamInfo:
    """Make a stream with as many replicas as the servers give it. See `JetStreamApi.create`."""
    try:
        return await api.create({**config, "num_replicas": _REPLICAS})
    except RefusedError as error:
        if error.code != NO_CLUSTER:
            raise
    return await api.create({**config, "num_replicas": 1})


def differences(name: str, config: Json) -> Sequence[str]:
    """Return what of a stream is not as a log needs it, in words."""
    # One that is closed for good takes nothing any more, and is only read.
    rules = _RULES if marks_in(config).departed is None else {}
    wrong = [
        f"{field} is {config.get(field)!r} and must be {rule.must}"
        for field, rule in rules.items()
        if not rule.holds(config.get(field))
    ]
    wanted = subjects.events_of(name)
    if wanted not in (config.get("subjects") or []):
        wrong.append(f"subjects are {config.get('subjects')!r} and must have {wanted!r}")
    if epoch_of(config) is None:
        made = secrets.token_hex(EPOCH_BYTES)
        wrong.append(
            f"its metadata must have {EPOCH}, the identity of the log, with"
            f" {EPOCH_BYTES * 2} hexadecimal digits: set it once, for example to {made}"
        )
    return wrong


def _retention_of(config: Json) -> Retention:
    """Return a stream's own limits; what has none is kept for ever."""
    age_ns, size_bytes = int(config.get("max_age") or 0), int(config.get("max_bytes") or 0)
    return Retention(
        age_ns / _NANOSECONDS if age_ns > 0 else _FOR_EVER_S,
        size_bytes if size_bytes > 0 else ANY_SIZE,
    )
