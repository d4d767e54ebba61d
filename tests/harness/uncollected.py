"""The gateway as a program whose collector is off, and which tells on SIGUSR1 what it would find.

Run as `python -m tests.harness.uncollected serve`. What reference counting frees is never found:
only what refers to itself, in a circle, is.
"""

import gc
import json
import logging
import signal
from collections import Counter
from typing import Any

from gateway.cli import main

_log = logging.getLogger("uncollected")


def tell(*_: Any) -> None:
    gc.collect()
    found = Counter(f"{type(it).__module__}.{type(it).__qualname__}" for it in gc.garbage)
    gc.garbage.clear()
    gc.set_debug(0)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    _log.warning("found %s", json.dumps(found))


if __name__ == "__main__":
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    signal.signal(signal.SIGUSR1, tell)
    main()
