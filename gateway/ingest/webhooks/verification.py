"""Verification that blocks nobody: in the event loop if it is quick, else in a thread."""

from collections.abc import Sequence

from gateway.aside import Aside
from gateway.ingest.webhooks.signature import SignatureVerifier
from gateway.ingest.webhooks.signed_headers import Reading

# Bytes to be hashed that the event loop does itself: about 0.2 ms of work. Usual webhooks are far
# below; to hand one to a thread costs as much.
IN_LOOP_BYTES_MAX = 64 * 1024

# Verifications that wait for the thread, or are in it. The largest with the most signatures takes
# some 20 ms, so the last of them is done in half a second.
WAITING_MAX = 32


class TooManyError(Exception):
    """Too many large bodies wait to be verified."""


class Verification:
    """Verifies bodies with a `SignatureVerifier`; `close` it at the end."""

    def __init__(self, verifier: SignatureVerifier) -> None:
        self._verifier = verifier
        self._waiting = 0
        # Of its own: no webhook waits for the provider's responses to be decoded. libsodium works
        # without the interpreter's lock.
        self._aside = Aside()

    async def verify(self, readings: Sequence[Reading], body: bytes) -> None:
        """Return if the body is signed. Raises SignatureError, or TooManyError at once."""
        if self._verifier.cost(readings, body) <= IN_LOOP_BYTES_MAX:
            self._verifier.verify(readings, body)
            return
        if self._waiting >= WAITING_MAX:
            raise TooManyError
        self._waiting += 1
        try:
            await self._aside.run(self._verifier.verify, readings, body)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Verify nothing more that is large."""
        self._aside.close()
