"""Bodies as they are received, within bounds: of each, and of all that are in memory."""

from collections.abc import Sequence

from gateway.bytebudget import ByteBudget, Share

# The provider's webhooks are a few kilobytes. The limit leaves room for their growth and keeps an
# event with its signed bytes below the 4 MiB that gRPC clients accept.
BODY_BYTES_MAX = 512 * 1024

# What each body may hold in any case, in bytes: all usual webhooks fit, so that large ones that are
# held back keep none of them out. All connections together hold a few megabytes that way.
ALWAYS_BYTES = 16 * 1024


# What larger bodies may hold together, in bytes: 16 of the largest, or 400 of 20 KiB. Verified,
# they take ten times as much, in copies and in what the allocator keeps: twice this bound let a
# flood from a quick sender take 290 MiB.
# It takes the loop a millisecond to receive one of the largest, and a thread 20 ms to verify it.
LARGE_BYTES_MAX = 8 * 1024 * 1024


class TooLargeError(Exception):
    """The body is larger than `BODY_BYTES_MAX`."""


class NoRoomForBodyError(Exception):
    """There is no room for so large a body now."""


class Body:
    """A body in pieces; `close` it in any case. `budgets` are what it takes of, if it is large."""

    def __init__(self, *budgets: ByteBudget) -> None:
        self._budgets = budgets
        # None for a usual body: most are.
        self._shares: Sequence[Share] = ()
        self._pieces: list[bytes] = []
        self.size = 0

    def expect(self, size: int) -> None:
        """Take note of the declared size. Raises TooLargeError and NoRoomForBodyError.

        Nothing is held for what has not come. But what could not be held is not even received.
        """
        if size > BODY_BYTES_MAX:
            raise TooLargeError
        if size > ALWAYS_BYTES and not all(it.has_room(size) for it in self._budgets):
            raise NoRoomForBodyError

    def add(self, piece: bytes) -> None:
        """Add a piece. Raises TooLargeError or NoRoomForBodyError."""
        self.size += len(piece)
        if self.size > BODY_BYTES_MAX:
            raise TooLargeError
        if self.size > ALWAYS_BYTES:
            self._shares = self._shares or [Share(it) for it in self._budgets]
            for share in self._shares:
                if not share.grow_to(self.size):
                    raise NoRoomForBodyError
        self._pieces.append(piece)

    def whole(self) -> bytes:
        """Return all of it, once."""
        if len(self._pieces) == 1:
            return self._pieces.pop()
        whole = b"".join(self._pieces)
        self._pieces.clear()
        return whole

    def close(self) -> None:
        """Give back what is held."""
        for share in self._shares:
            share.close()
