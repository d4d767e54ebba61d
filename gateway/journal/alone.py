"""What a log has that one process uses alone: nobody to tell anything, and a lease for ever."""

from collections.abc import Callable

from gateway.journal.leasing import Work


class NobodyElse:
    """A `Broadcast` without anybody who hears."""

    @property
    def dropped(self) -> int:
        """See `Broadcast.dropped`."""
        return 0

    def send(self, message: bytes) -> None:
        """See `Broadcast.send`."""

    def listen(self, receiver: Callable[[bytes], None]) -> None:
        """See `Broadcast.listen`. The receiver is never called."""


class HeldForEver:
    """A `Lease` that nobody else wants."""

    @property
    def holder(self) -> str:
        """See `Lease.holder`. A process that is alone needs no name."""
        return ""

    @property
    def is_held(self) -> bool:
        """See `Lease.is_held`."""
        return True

    def check(self) -> None:
        """See `Lease.check`."""

    async def hold(self, work: Work) -> None:
        """See `Lease.hold`."""
        await work()
