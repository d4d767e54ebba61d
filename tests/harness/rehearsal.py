"""A scenario played through a gateway, while time stands still until it is moved."""

import asyncio

import grpc

from gateway.sandbox import SandboxServer
from gateway.sandbox.clock import ManualClock
from gateway.sandbox.scenario.performance import Performance, Told
from gateway.sandbox.scenario.script import Script
from gateway.throughgateway import GatewayStage
from tests.harness.gateway import RunningGateway
from tests.harness.loop import LoopThread


class Rehearsal:
    """Begins at construction; the sandbox must have a manual clock, and post to the gateway."""

    def __init__(
        self, loop: LoopThread, sandbox: SandboxServer, gateway: RunningGateway, script: Script
    ) -> None:
        self.told: list[Told] = []
        self.script = script
        self._loop, self._sandbox = loop, sandbox
        self._clock = ManualClock(start=0.0)
        self._address = str(gateway.app.grpc_address)
        loop.run(self._begin())

    @property
    def failures(self) -> list[str]:
        return [it.line for it in self.told if it.failed]

    def go_on(self, until: float) -> None:
        """Play up to this moment, in seconds since the beginning; both clocks go in step."""
        self._loop.run(self._go_on(until))

    def close(self) -> None:
        self._loop.run(self._close())

    async def _begin(self) -> None:
        self._channel = grpc.aio.insecure_channel(self._address)
        stage = GatewayStage(self._channel, self._sandbox.control)
        self.performance = Performance(self.script, stage, self._clock, self.told.append)
        self._playing = asyncio.create_task(self.performance.play())
        await self.performance.settled()

    async def _go_on(self, until: float) -> None:
        moments = {it.at for it in self.script.steps} | {self.script.length, until}
        for moment in sorted(it for it in moments if self._clock.now() < it <= until):
            step = moment - self._clock.now()
            await asyncio.to_thread(self._sandbox.control.advance, step)
            await self._clock.advance(step, self.performance.settled)
        await asyncio.to_thread(self._sandbox.control.wait_until_idle)

    async def _close(self) -> None:
        self._playing.cancel()
        await asyncio.wait((self._playing,))
        await self._channel.close()
