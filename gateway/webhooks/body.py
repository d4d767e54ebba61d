"""Bodies as they come, within bounds: of each, and of all that are held at one time."""

from gateway.bytebudget import ByteBudget, Share

# The provider's webhooks are a few kilobytes. The limit leaves room for their growth and keeps an
# event with its signed bytes below the 4 MiB that gRPC clients accept.
BODY_BYTES_MAX = 512 * 1024

# What each body may hold in any case, in bytes: all usual webhooks fit, so that large ones that are
# held back keep none of them out. All connections together hold a few megabytes that way.
ALWAYS_BYTES = 16 * 1024


class TooLargeError(Exception):
    """The body is larger than `BODY_BYTES_MAX`."""


class NoRoomError(Exception):
    """There is no room for so large a body at present."""


class Body:
    """A body in pieces; `close` it in any case."""

    def __init__(self, budget: ByteBudget) -> None:
        self._share = Share(budget)
        self._pieces: list[bytes] = []
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Add a piece. Raises TooLargeError or NoRoomError."""
        self.size += len(piece)
        if self.size > BODY_BYTES_MAX:
            raise TooLargeError
        if self.size > ALWAYS_BYTES and not self._share.grow_to(self.size):
            raise NoRoomError
        self._pieces.append(piece)

    def whole(self) -> bytes:
        """Return all of it."""
        return b"".join(self._pieces)

    def close(self) -> None:
        """Give back what is held."""
        self._share.close()
