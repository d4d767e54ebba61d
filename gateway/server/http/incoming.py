"""Where what comes is read into: little of a request before its head is known."""

# Bytes that are read at once before a head is complete: all of a usual webhook. A sender of
# large bodies can have hundreds of connections; what is read of each before it is refused is work.
HEAD_READ_BYTES = 16 * 1024

# And of a body. Half of the largest comes in one piece.
BODY_READ_BYTES = 256 * 1024


class ReadBuffer:
    """The memory that all connections of a server read into, one after the other.

    Whoever is given a part of it takes what was read before the event loop goes on.
    """

    def __init__(self) -> None:
        self.for_body = memoryview(bytearray(BODY_READ_BYTES))
        self.for_head = self.for_body[:HEAD_READ_BYTES]

    def taken(self, size: int) -> bytes:
        """Return the bytes that were read, `size` of them."""
        return bytes(self.for_body[:size])
