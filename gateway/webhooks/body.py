"""Bodies as they come, within bounds: of each, and of all that are held at one time."""

from gateway.bytebudget import ByteBudget, Share

# The provider's webhooks are a few kilobytes. The limit leaves room for their growth and keeps an
# event with its signed bytes below the 4 MiB that gRPC clients accept.
BODY_BYTES_MAX = 512 * 1024

# What each body may hold in any case, in bytes: all usual webhooks fit, so that large ones that are
# held back keep none of them out. All connections together hold a few megabytes that way.
ALWAYS_BYTES = 16 * 1024


# Larger bodies that are received at one time. The provider's are seldom so large; each one takes
# the loop a millisecond, and up to a megabyte while it is read and put together.
LARGE_MAX = 64


class TooLargeError(Exception):
    """The body is larger than `BODY_BYTES_MAX`."""


class NoRoomError(Exception):
    """There is no room for so large a body at present."""


class LargeBodies:
    """How many bodies beyond `ALWAYS_BYTES` are being received."""

    def __init__(self) -> None:
        self.count = 0


class Body:
    """A body in pieces; `close` it in any case. `large` counts it if it is."""

    def __init__(self, budget: ByteBudget, large: LargeBodies) -> None:
        self._share = Share(budget)
        self._large = large
        self._is_large = False
        self._pieces: list[bytes] = []
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Add a piece. Raises TooLargeError or NoRoomError."""
        self.size += len(piece)
        if self.size > BODY_BYTES_MAX:
            raise TooLargeError
        if self.size > ALWAYS_BYTES:
            if not self._is_large:
                if self._large.count >= LARGE_MAX:
                    raise NoRoomError
                self._is_large = True
                self._large.count += 1
            if not self._share.grow_to(self.size):
                raise NoRoomError
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
        self._share.close()
        if self._is_large:
            self._is_large = False
            self._large.count -= 1
