"""Intake: the body of one response as it is received, within bounds."""

from gateway.bytebudget import ByteBudget, Share
from gateway.upstream.transport import RESPONSE_BYTES_MAX, NoRoomError, OversizeError

# Bodies up to so many bytes are not counted: nearly all responses are smaller, and the maximum
# number in flight holds no more than 13 MiB together.
UNCOUNTED_BYTES = 64 * 1024

# The most pieces of a body, where each piece costs the event loop a turn of Python.
# The largest body in as many pieces has a KiB in each; what is written by the byte is an attack.
PARTS_MAX = 4_000


def oversize() -> OversizeError:
    """Return the error for a response that is larger than the gateway is willing to hold."""
    return OversizeError(f"the response is larger than {RESPONSE_BYTES_MAX} bytes")


class Intake:
    """Collects the parts of a body; `close` it in any case.

    Bytes beyond `UNCOUNTED_BYTES` are taken from a budget that others share. A response that it has
    no room for is not read to its end.
    """

    __slots__ = ("_parts", "_share", "_size")

    def __init__(self, budget: ByteBudget) -> None:
        self._share = Share(budget)
        self._parts: list[bytes] = []
        self._size = 0

    def expect(self, size: int) -> None:
        """Take room for a body whose size is known. Raises OversizeError or NoRoomError."""
        if size > RESPONSE_BYTES_MAX:
            raise oversize()
        if not self._share.grow_to(size - UNCOUNTED_BYTES):
            raise NoRoomError(
                f"the gateway's buffers are too full to receive a response of {size} bytes or more"
            )

    def add(self, part: bytes) -> None:
        """Take a part. Raises OversizeError or NoRoomError."""
        self._size += len(part)
        if self._size > UNCOUNTED_BYTES:
            self.expect(self._size)
        if len(self._parts) >= PARTS_MAX:
            raise OversizeError(f"the response has more than {PARTS_MAX} pieces")
        self._parts.append(part)

    @property
    def body(self) -> bytes:
        """What has come in."""
        return b"".join(self._parts)

    def close(self) -> None:
        """Give back the room that was taken."""
        self._share.close()
        self._parts = []
