"""Checkpoints in a key-value bucket (ADR-8 of nats-architecture-and-design), one beside the stream.

A bucket is a stream with a subject for each key, of which the last message is the value. The keys
have the log's identity in them: a log that is begun anew finds nothing of the one before.
"""

from gateway.journal.jetstream.api import JetStreamApi, result_of
from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.errors import RefusedError
from gateway.journal.jetstream.stream import create
from gateway.journal.jetstream.subjects import part_of

_OTHER_CONFIG = 10058


def bucket_of(stream: str) -> str:
    """Return the bucket's name."""
    return f"{stream}_checkpoints"


class JetStreamCheckpoints:
    """`Checkpoints` in a bucket. Use `open`."""

    def __init__(self, broker: Broker, api: JetStreamApi, bucket: str, epoch: bytes) -> None:
        self._broker = broker
        self._api = api
        self._prefix = f"$KV.{bucket}.{epoch.hex()}"

    @classmethod
    async def open(cls, broker: Broker, stream: str, epoch: bytes) -> "JetStreamCheckpoints":
        """Make the bucket if there is none. Raises BrokerError and RefusedError."""
        bucket = bucket_of(stream)
        api = JetStreamApi(broker, f"KV_{bucket}")
        if await api.info() is None:
            await _make(api, bucket)
        return cls(broker, api, bucket, epoch)

    async def get(self, name: str) -> bytes | None:
        """See `Checkpoints.get`."""
        found = await self._api.message(last_by_subj=self._subject(name))
        return None if found is None else found.data

    async def set(self, name: str, value: bytes) -> None:
        """See `Checkpoints.set`."""
        result_of((await self._broker.request(self._subject(name), value)).data)

    def _subject(self, name: str) -> str:
        return f"{self._prefix}.{part_of(name)}"


async def _make(api: JetStreamApi, bucket: str) -> None:
    config = {
        "name": api.stream,
        "description": "How far somebody has come, by telnyx-gateway.",
        "subjects": [f"$KV.{bucket}.>"],
        "storage": "file",
        "discard": "new",
        "max_msgs_per_subject": 1,
        "deny_delete": True,
        "allow_rollup_hdrs": True,
        "allow_direct": True,
    }
    try:
        await create(api, config)
    except RefusedError as error:
        if error.code != _OTHER_CONFIG:  # another gateway has made it meanwhile
            raise
