"""Fills a log before a gateway opens it. Run as `python -m tests.hostile.filled FILE COUNT`."""

import asyncio
import sys
import time
from pathlib import Path

from gateway.journal.sqlite import open_log
from tests.harness.events import FORMAT, new_event

_AT_ONCE = 5_000


async def fill(path: Path, count: int) -> None:
    log = await open_log(path, FORMAT)
    now_us = round(time.time() * 1e6)
    for first in range(0, count, _AT_ONCE):
        events = [
            new_event(id_=f"held-{number}", received_at_us=now_us, raw=b"x" * 200)
            for number in range(first, first + _AT_ONCE)
        ]
        await asyncio.gather(*map(log.journal.append, events))
    await log.close()


if __name__ == "__main__":
    asyncio.run(fill(Path(sys.argv[1]), int(sys.argv[2])))
