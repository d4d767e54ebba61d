"""All parts of the sandbox put together."""

from starlette.types import Receive, Scope, Send

from gateway.sandbox.clock import Clock, ManualClock, RealClock
from gateway.sandbox.controlapi import ControlApi
from gateway.sandbox.delivery import Destination, Outbox
from gateway.sandbox.deliverylog import DeliveryLog
from gateway.sandbox.execution import Executor
from gateway.sandbox.faults import Faults
from gateway.sandbox.http import ProviderApi
from gateway.sandbox.idempotency import CommandMemory
from gateway.sandbox.journal import Journal
from gateway.sandbox.operations import load_operations
from gateway.sandbox.posting import HttpPoster, Poster
from gateway.sandbox.routes import Routes
from gateway.sandbox.scenario.plays import Plays
from gateway.sandbox.scenario.stage import DirectStage
from gateway.sandbox.settings import SandboxSettings
from gateway.sandbox.signing import Signer
from gateway.sandbox.validation import Validation
from gateway.sandbox.world import World


class Sandbox:
    """An ASGI application that is the provider. It belongs to one event loop."""

    def __init__(self, settings: SandboxSettings, poster: Poster | None = None) -> None:
        clock: Clock = ManualClock() if settings.manual_clock else RealClock(settings.speed)
        signer = Signer(settings.signing_seed, settings.signature_schemes)
        faults = Faults()
        journal = Journal(settings.journal_size)
        log = DeliveryLog(settings.delivery_log_size)
        # Retries run beside the line and must find a connection of their own.
        connections = settings.webhook_concurrency + 20
        self._outbox = Outbox(
            clock=clock,
            poster=poster or HttpPoster(settings.webhook_timeout_seconds, connections),
            signer=signer,
            faults=faults,
            log=log,
            destination=Destination(settings.webhook_url, settings.failover_url),
            concurrency=settings.webhook_concurrency,
        )
        world = World(clock, self._outbox.publish)
        for call_control_id in settings.calls:
            world.new_call(call_control_id)
        executor = Executor(world, CommandMemory(clock), journal, log)
        operations = load_operations()
        validation = Validation(operations)
        stage = DirectStage(
            world=world,
            operations={it.id: it for it in operations},
            validation=validation,
            executor=executor,
            faults=faults,
            outbox=self._outbox,
        )
        self.plays = Plays(stage, self._outbox, clock)
        self.public_key = signer.public_key
        self._provider = ProviderApi(
            settings=settings,
            clock=clock,
            routes=Routes(operations),
            validation=validation,
            executor=executor,
            faults=faults,
            journal=journal,
        )
        self._control = ControlApi(
            clock=clock,
            world=world,
            outbox=self._outbox,
            armed=faults,
            journal=journal,
            public_key=signer.public_key,
            plays=self.plays,
        ).app()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request: the control API's or the provider's."""
        if scope["path"].startswith("/_sandbox"):
            await self._control(scope, receive, send)
        else:
            await self._provider(scope, receive, send)

    async def close(self) -> None:
        """Stop playing and posting webhooks, and close connections."""
        await self.plays.stop()
        await self._outbox.close()
