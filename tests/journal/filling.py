"""Logs that are filled until their files are large."""

import os

from gateway.journal.retention import Retention
from tests.harness.clock import ManualClock
from tests.harness.events import new_event
from tests.harness.logs import OpenLog

MIB = 2**20
SHORT = Retention(100, 2**40)


def fill(log: OpenLog, mib: int, clock: ManualClock) -> None:
    received = round(clock.now * 1e6)
    for _ in range(mib):
        log.append(*[new_event(received_at_us=received, raw=os.urandom(16_384)) for _ in range(64)])
