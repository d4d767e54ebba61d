"""A key-value bucket (ADR-8 of nats-architecture-and-design), one beside each stream.

A bucket is a stream with a subject for each key, of which the last message is the value, and its
number the revision. The keys have the log's identity in them: a log that is begun anew finds
nothing of the one before.
"""

from collections.abc import Callable

from gateway.journal.checkpoint import Checkpoint
from gateway.journal.errors import OutdatedError
from gateway.journal.jetstream.api import NO_STREAM, JetStreamApi, result_of
from gateway.journal.jetstream.broker import RESPONSE_S, Broker
from gateway.journal.jetstream.errors import NotTakenError, RefusedError
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

    `epoch` is the log's, as it is now. The bucket is made when something is to be kept in it, too,
    however often it is lost.
    """

    def __init__(self, broker: Broker, stream: str, epoch: Callable[[], bytes]) -> None:
        self._broker = broker
        self._name = bucket_of(stream)
        self._api = JetStreamApi(broker, f"KV_{self._name}")
        self._epoch = epoch

    async def is_there(self) -> bool:
        """Return whether there is a bucket."""
        return await self._api.info() is not None

    async def make(self) -> None:
        """Make the bucket if there is none."""
        if not await self.is_there():
            await _make(self._api, self._name)

    async def read(self, key: str) -> Checkpoint:
        """Return a key's value and its revision."""
        try:
            found = await self._api.message(last_by_subj=self._subject(key))
        except RefusedError as error:
            if error.code != NO_STREAM:
                raise
            found = None
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
        subject = self._subject(key)
        try:
            response = await self._broker.request(subject, value, headers, timeout_s)
        except NotTakenError:
            if await self.is_there():
                raise
            await _make(self._api, self._name)
            response = await self._broker.request(subject, value, headers, timeout_s)
        return int(result_of(response.data)["seq"])

    def _subject(self, key: str) -> str:
        return f"$KV.{self._name}.{self._epoch().hex()}.{key}"


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
