"""Where signatures are verified: large bodies in one thread, with a bounded queue."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from gateway.ingest.webhooks import verification
from gateway.ingest.webhooks.signature import SignatureVerifier
from gateway.ingest.webhooks.signed_headers import Reading
from gateway.ingest.webhooks.verification import TooManyError, Verification
from tests.harness.clock import ManualClock
from tests.harness.loop import LoopThread
from tests.harness.webhooks import Signer

SIGNER = Signer(1)
SMALL, LARGE = b"{}", b"x" * (verification.IN_LOOP_BYTES_MAX + 1)


class Slow(SignatureVerifier):
    """Knows in which thread it verified what, and waits in any but the event loop's."""

    def __init__(self) -> None:
        super().__init__([SIGNER.raw_public_key], ManualClock())
        self.loop_thread = threading.current_thread()
        self.go_on = threading.Event()
        self.verified: list[tuple[int, bool]] = []

    def verify(self, readings: Sequence[Reading], body: bytes) -> None:
        in_loop = threading.current_thread() is self.loop_thread
        if not in_loop:
            assert self.go_on.wait(20)
        super().verify(readings, body)
        self.verified.append((len(body), in_loop))


def test_large_bodies_wait_for_a_thread_and_small_ones_for_nobody(loop: LoopThread) -> None:
    async def run() -> None:
        slow = Slow()
        verifies = Verification(slow)

        def begun(body: bytes) -> asyncio.Task[None]:
            lines = SIGNER.telnyx(body, ManualClock().now).items()
            readings = slow.read([(name.encode(), value.encode()) for name, value in lines])
            return asyncio.create_task(verifies.verify(readings, body))

        waiting = [begun(LARGE) for _ in range(verification.WAITING_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyError):
            await begun(LARGE)
        await begun(SMALL)
        assert slow.verified == [(len(SMALL), True)]

        slow.go_on.set()
        await asyncio.gather(*waiting)
        await begun(LARGE)
        assert slow.verified[1:] == [(len(LARGE), False)] * (len(waiting) + 1)
        verifies.close()

    loop.run(run())
