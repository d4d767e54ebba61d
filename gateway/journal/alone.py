"""What a log has that one process uses alone: nobody to tell anything."""

from collections.abc import Callable


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
