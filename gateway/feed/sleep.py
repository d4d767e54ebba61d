"""A subscriber's sleep: it ends when somebody wakes the sleeper, or when its time is over."""

import asyncio


class Sleep:
    """The sleeps of one sleeper, one after the other, with one timer for all of them.

    The timer outlives the sleep that it was set for: traffic moves the end of the next one, and a
    timer for each delivery costs more than to look again when this one has run out.
    """

    def __init__(self) -> None:
        self._woken: asyncio.Future[bool] | None = None
        # When the sleep ends by itself, and when the timer runs out: seconds of the loop's clock.
        self._ends_at = 0.0
        self._timer_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def wake(self) -> bool:
        """End the sleep; false if there is none."""
        if self._woken is None or self._woken.done():
            return False
        self._woken.set_result(True)
        return True

    async def until(self, ends_at: float) -> bool:
        """Sleep until woken, or until the loop's clock shows a time: false then."""
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[bool] = loop.create_future()
        self._woken = woken
        self._ends_at = ends_at
        if self._timer is None or self._timer_at > ends_at:
            self._set_timer(loop)
        try:
            return await woken
        finally:
            self._woken = None

    def close(self) -> None:
        """Leave no timer behind."""
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._ends_at
        self._timer = loop.call_at(self._ends_at, self._timer_ran_out, loop)

    def _timer_ran_out(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._woken is None or self._woken.done():
            return
        if self._timer_at < self._ends_at:
            self._set_timer(loop)
        else:
            self._woken.set_result(False)
