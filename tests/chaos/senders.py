"""Senders: webhooks at a rate, each tried again like the provider does until it is acknowledged.

What is not acknowledged goes to the next gateway at once, which stands for the failover URL, and
then to both again after pauses that double.
"""

import random
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from time import monotonic

from tests.harness.webhooks import Poster
from tests.oracle.model import Fields, Posted
from tests.oracle.remote import RemoteLog, posted

# Attempts of an event, as many as at two addresses in turn within a minute, and the first pause.
_ATTEMPTS = 14
_PAUSE_S = 0.25
_PAUSE_S_MAX = 2.0

# Events that are on their way at the same time, at most.
_AT_ONCE = 32

# How often an event that was acknowledged is sent once more.
_TWICE = 0.05

TYPES = ("call.enqueued", "conference.created", "conference.participant.joined")
CONFERENCES = tuple(f"c{number}" for number in range(8))


class Senders:
    """Send from construction to `stop`."""

    def __init__(
        self, log: RemoteLog, posters: Sequence[Poster], rate: float, drawn: random.Random
    ) -> None:
        self._log = log
        self._posters = posters
        self._rate = rate
        self._drawn = drawn
        self._stopping = threading.Event()
        self._giving_up = threading.Event()
        self._pool = ThreadPoolExecutor(_AT_ONCE)
        self._deliveries: list[Future[None]] = []
        self.sent = 0
        # When webhooks were acknowledged, on the monotonic clock.
        self.acknowledged_at: list[float] = []
        # What was given up, after all attempts: the provider's own log has it then.
        self.given_up: list[str] = []
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def stop(self, within_s: float = 30.0) -> None:
        """Begin no more, and return when what was begun is acknowledged or given up.

        What is not by then is given up at once.
        """
        self._stopping.set()
        self._thread.join()
        wait(self._deliveries, within_s)
        self._giving_up.set()
        self._pool.shutdown()

    def _send(self) -> None:
        while not self._stopping.wait(1 / self._rate):
            event = _event(self.sent, self._drawn)
            order = self._order()
            again = self._order() if self._drawn.random() < _TWICE else []
            self._deliveries.append(self._pool.submit(self._deliver, event, order, again))
            self.sent += 1

    def _order(self) -> list[Poster]:
        """The gateway that a webhook goes to, and the one that it fails over to."""
        first = self._drawn.randrange(len(self._posters))
        return [self._posters[first], self._posters[(first + 1) % len(self._posters)]]

    def _deliver(self, event: Posted, order: Sequence[Poster], again: Sequence[Poster]) -> None:
        pause_s = _PAUSE_S
        for attempt in range(_ATTEMPTS):
            if self._giving_up.is_set():
                break
            if self._log.post(order[attempt % 2], [event]) == [200]:
                self.acknowledged_at.append(monotonic())
                if again:
                    self._log.post(again[0], [event])
                return
            if attempt % 2:
                self._giving_up.wait(pause_s)
                pause_s = min(2 * pause_s, _PAUSE_S_MAX)
        self.given_up.append(event.id)


def _event(number: int, drawn: random.Random) -> Posted:
    fields = Fields(drawn.choice(TYPES), conference_id=drawn.choice(CONFERENCES))
    return posted(f"id-{number}", fields, padding=drawn.choice((0, 0, 600)))
