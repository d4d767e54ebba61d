"""Webhooks on their way: first attempts in line, retries beside it.

First attempts start in the order of what happened, as many at once as the settings allow. What
has failed leaves the line: it goes to the failover address at once and is then tried again with
growing pauses, at most five times within a minute, as the provider does it.
"""

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.sandbox.clock import Clock
from gateway.sandbox.deliverylog import Attempt, Delivery, DeliveryLog
from gateway.sandbox.events import Event
from gateway.sandbox.faults import Faults
from gateway.sandbox.posting import NoReplyError, Poster, Reply
from gateway.sandbox.signing import Signer

# Attempts after the first, those at the failover address included.
_RETRIES_MAX = 5

# Sandbox seconds after the first attempt in which the last one may start.
_RETRY_WINDOW_S = 60.0

# Before the first retry; every further pause is twice as long (1, 2, 4, 8, 16).
_FIRST_PAUSE_S = 1.0

# Sandbox seconds after which a webhook held back goes out even if no others have passed.
_HELD_MAX_S = 10.0

_BAD_RESPONSE = 10007
_NO_RESPONSE = 10008


@dataclass(slots=True)
class _Held:
    """A webhook waiting for others to pass it."""

    delivery: Delivery
    remaining: int


@dataclass(slots=True)
class Destination:
    """Where webhooks go. Changes take effect with the next attempt."""

    url: str | None
    failover_url: str | None


class Outbox:
    """Delivers events. Lives on the event loop."""

    def __init__(
        self,
        *,
        clock: Clock,
        poster: Poster,
        signer: Signer,
        faults: Faults,
        log: DeliveryLog,
        destination: Destination,
        concurrency: int,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._poster = poster
        self._signer = signer
        self._faults = faults
        self._log = log
        self.destination = destination
        self._concurrency = concurrency
        self._wall = wall
        # Deliveries in line, each with the number of times it is to be posted.
        self._line: deque[tuple[Delivery, int]] = deque()
        self._held: list[_Held] = []
        self._senders = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._unfinished: dict[str, int] = {}
        self._asleep = 0
        self._waiters: list[asyncio.Event] = []

    @property
    def pending(self) -> int:
        """Webhooks whose delivery is not yet decided."""
        return len(self._unfinished)

    @property
    def idle(self) -> bool:
        """Whether nothing more will happen until sandbox time moves on."""
        return not self._line and self._senders == 0 and len(self._tasks) == self._asleep

    def publish(self, event: Event) -> None:
        """Send the event on its way."""
        delivery = Delivery(str(uuid.uuid4()), event)
        if self.destination.url is None:
            delivery.given_up_at = self._wall()
            self._log.note(delivery)
            return
        fault = self._faults.on_webhook(event.type)
        match fault.trouble if fault else None:
            case "lose":
                self._lose(delivery)
                return
            case "reorder" if fault:
                self._begin(delivery)
                self._hold(delivery, fault.after)
            case "delay" if fault:
                self._begin(delivery)
                self._spawn(self._later(delivery, fault.delay_seconds))
            case _:
                self._begin(delivery)
                self._enter(delivery, 1 + (fault.copies if fault else 0))

    def release(self) -> None:
        """Let everything go out that a fault holds back."""
        for held in list(self._held):
            self._let_go(held)

    async def wait(self, seconds: float, *, until_idle: bool = False) -> None:
        """Wait until nothing is pending (or nothing is in motion), so many real seconds at most."""

        def reached() -> bool:
            return self.idle if until_idle else not self._unfinished

        try:
            async with asyncio.timeout(seconds):
                while not reached():
                    changed = asyncio.Event()
                    self._waiters.append(changed)
                    await changed.wait()
        except TimeoutError:
            return

    async def close(self) -> None:
        """Stop everything; what is undelivered stays so."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._poster.close()

    def _begin(self, delivery: Delivery) -> None:
        self._unfinished[delivery.id] = 0

    def _enter(self, delivery: Delivery, posts: int = 1) -> None:
        self._unfinished[delivery.id] += posts
        self._line.append((delivery, posts))
        if self._senders < self._concurrency:
            self._senders += 1
            self._spawn(self._send_line())

    def _lose(self, delivery: Delivery) -> None:
        now = self._wall()
        url = self.destination.url or ""
        delivery.attempts.append(Attempt(now, now, False, url, (), None, _NO_RESPONSE))
        self._log.note(delivery)

    def _hold(self, delivery: Delivery, after: int) -> None:
        held = _Held(delivery, after)
        self._held.append(held)
        self._clock.call_at(self._clock.now() + _HELD_MAX_S, lambda: self._let_go(held))

    def _let_go(self, held: _Held) -> None:
        if held in self._held:
            self._held.remove(held)
            self._enter(held.delivery)

    async def _later(self, delivery: Delivery, seconds: float) -> None:
        await self._sleep(seconds)
        self._enter(delivery)

    async def _send_line(self) -> None:
        """Make first attempts until the line is empty."""
        try:
            while self._line:
                delivery, posts = self._line.popleft()
                for _ in range(posts):
                    await self._send_first(delivery)
                for held in list(self._held):
                    held.remaining -= 1
                    if held.remaining <= 0:
                        self._let_go(held)
        finally:
            self._senders -= 1

    async def _send_first(self, delivery: Delivery) -> None:
        started = self._clock.now()
        if await self._attempt(delivery, 1, self.destination.url):
            self._finish(delivery)
        else:
            self._spawn(self._retry(delivery, started))

    async def _retry(self, delivery: Delivery, started: float) -> None:
        pause = _FIRST_PAUSE_S
        for number in range(2, _RETRIES_MAX + 2):
            url, failover = self.destination.url, self.destination.failover_url
            to_failover = failover is not None and number % 2 == 0
            if not to_failover or number > 2:
                if self._clock.now() + pause - started > _RETRY_WINDOW_S:
                    break
                await self._sleep(pause)
                pause *= 2
            if await self._attempt(delivery, number, failover if to_failover else url):
                break
        self._finish(delivery)

    async def _attempt(self, delivery: Delivery, number: int, url: str | None) -> bool:
        """Post once; return whether the receiver took it."""
        if url is None:
            return False
        started = self._wall()
        body = orjson.dumps(
            {"data": delivery.event.data, "meta": {"attempt": number, "delivered_to": url}}
        )
        headers = {"content-type": "application/json", "user-agent": "telnyx-webhooks"}
        headers |= self._signer.headers(delivery.event.id, int(started), body)
        reply: Reply | None = None
        error: int | None = _NO_RESPONSE
        try:
            reply = await self._poster.post(url, body, headers)
            error = None if 200 <= reply.status < 300 else _BAD_RESPONSE
        except NoReplyError:
            pass
        delivery.attempts.append(
            Attempt(started, self._wall(), error is None, url, tuple(headers.items()), reply, error)
        )
        self._log.note(delivery)
        return error is None

    def _finish(self, delivery: Delivery) -> None:
        if not delivery.attempts:
            # The address was taken away before the first attempt.
            delivery.given_up_at = self._wall()
            self._log.note(delivery)
        self._unfinished[delivery.id] -= 1
        if self._unfinished[delivery.id] <= 0:
            del self._unfinished[delivery.id]
            self._tell()

    async def _sleep(self, seconds: float) -> None:
        """Pause in sandbox time, counted as not in motion for exactly that long."""
        woken = asyncio.Event()

        def wake() -> None:
            # Counted here and not after the wait: whoever moved the clock looks at once.
            self._asleep -= 1
            woken.set()

        self._asleep += 1
        timer = self._clock.call_at(self._clock.now() + seconds, wake)
        self._tell()
        try:
            await woken.wait()
        finally:
            timer.cancel()

    def _tell(self) -> None:
        """Let those who wait look again."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a webhook sender broke", "exception": failure, "task": task}
            )
        self._tell()
