"""A key-value bucket (ADR-8 of nats-architecture-and-design), one beside each stream.

A bucket is a stream with a subject for each key, of which the last message is the value, and its
number the revision. The keys have the log's identity in them: a log that is begun anew finds
nothing of the one before.
"""

from gateway.journal.checkpoint import Checkpoint
from gateway.journal.errors import OutdatedError
from gateway.journal.jetstream.api import JetStreamApi, result_of
from gateway.journal.jetstream.broker import RESPONSE_S, Broker
from gateway.journal.jetstream.errors import RefusedError
from gateway.journal.jetstream.stream import create

_OTHER_CONFIG = 10058

# The key has another revision than is expected, or another value for it is just being stored.
_OUTDATED = frozenset({10071, 10164})

_EXPECTED = "Nats-Expected-Last-Subject-Sequence"


def bucket_of(stream: str) -> str:
    """Return the bucket's name."""
    return f"{stream}_checkpoints"


class Bucket:
    """The keys of one log. Every method raises BrokerError and RefusedError.

    Use `open`, or `of` to read only: it makes no bucket.
    """

    def __init__(self, broker: Broker, api: JetStreamApi, prefix: str) -> None:
        self._broker = broker
        self._api = api
        self._prefix = prefix

    @classmethod
    async def open(cls, broker: Broker, stream: str, epoch: bytes) -> "Bucket":
        """Make the bucket if there is none."""
        bucket = cls.of(broker, stream, epoch)
        if await bucket._api.info() is None:
            await _make(bucket._api, bucket_of(stream))
        return bucket

    @classmethod
    def of(cls, broker: Broker, stream: str, epoch: bytes) -> "Bucket":
        """Return the bucket, whether it is there or not."""
        name = bucket_of(stream)
        return cls(broker, JetStreamApi(broker, f"KV_{name}"), f"$KV.{name}.{epoch.hex()}")

    async def read(self, key: str) -> Checkpoint:
        """Return a key's value and its revision."""
        found = await self._api.message(last_by_subj=self._subject(key))
        return Checkpoint(None, 0) if found is None else Checkpoint(found.data, found.sequence)

    async def set(self, key: str, value: bytes) -> None:
        """Give a key a value."""
        await self._sent(key, value, None, RESPONSE_S)

    async def replace(
        self, key: str, value: bytes, revision: int, timeout_s: float = RESPONSE_S
    ) -> int:
        """Give a key a value if it has a revision still; return the new one.

        Raises OutdatedError if it has another.
        """
        headers = {_EXPECTED: str(revision)}
        try:
            return await self._sent(key, value, headers, timeout_s)
        except RefusedError as error:
            if error.code in _OUTDATED:
                raise OutdatedError(f"the value of {key} has been replaced meanwhile") from None
            raise

    async def _sent(
        self, key: str, value: bytes, headers: dict[str, str] | None, timeout_s: float
    ) -> int:
        response = await self._broker.request(self._subject(key), value, headers, timeout_s)
        return int(result_of(response.data)["seq"])

    def _subject(self, key: str) -> str:
        return f"{self._prefix}.{key}"


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
