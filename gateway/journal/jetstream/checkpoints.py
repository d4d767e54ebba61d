"""Checkpoints in the bucket beside the stream."""

from gateway.journal.checkpoint import Checkpoint
from gateway.journal.jetstream.bucket import Bucket
from gateway.journal.jetstream.subjects import part_of


class JetStreamCheckpoints:
    """`Checkpoints` in a bucket. Of a checkpoint's key, its name is one part."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def get(self, name: str) -> bytes | None:
        """See `Checkpoints.get`."""
        return (await self.read(name)).value

    async def read(self, name: str) -> Checkpoint:
        """See `Checkpoints.read`."""
        return await self._bucket.read(part_of(name))

    async def set(self, name: str, value: bytes) -> None:
        """See `Checkpoints.set`."""
        await self._bucket.set(part_of(name), value)

    async def replace(self, name: str, value: bytes, revision: int) -> int:
        """See `Checkpoints.replace`."""
        return await self._bucket.replace(part_of(name), value, revision)
