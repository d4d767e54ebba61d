"""Work on large pieces of data, done beside the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

# Data from this size on, in bytes, is worked on in a thread: with all of our decoders that is about
# a millisecond, and to hand it to a thread and back takes a tenth of that.
LARGE_BYTES = 64 * 1024

P = ParamSpec("P")
T = TypeVar("T")


class Aside:
    """One thread, so that one large piece at a time takes the memory that decoding takes."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "large-data")

    async def run(self, function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """Call a function in the thread, after what was given to it before."""
        work = self._thread.submit(function, *args, **named)
        # Given up, it never begins, or is waited for by nobody.
        return await asyncio.wrap_future(work)

    def close(self) -> None:
        """Begin nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
