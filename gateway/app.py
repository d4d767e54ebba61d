"""The composition root: builds everything, starts it in order, drains it in reverse."""

import asyncio
import logging
import random
import time

from gateway.background import Background
from gateway.bytebudget import ByteBudget
from gateway.callers.assembly import FiledCallers, callers_of
from gateway.clock import Clock
from gateway.conference.conferences import Conferences
from gateway.conference.sharing import SharedCommands
from gateway.config import Settings
from gateway.feed.effects import Effects
from gateway.feed.feed import Feed
from gateway.feed.format import event_format
from gateway.gauges import LogFile, watch_feed, watch_log, watch_upstream
from gateway.health.assembly import Services, components_of
from gateway.health.health import Health
from gateway.homes import index_filling, limits_of, once_filled, open_event_log
from gateway.ingest.assembly import Ingest
from gateway.ingest.backfill.complete import Completeness
from gateway.journal.ports import EventLog
from gateway.journal.pruning import pruning
from gateway.loopwatch import LoopWatch
from gateway.memory import buffers_within, memory_limit
from gateway.ports import ADMIN, GRPC, HTTP
from gateway.records.refusals import Refused, Subject
from gateway.rotation import rotation
from gateway.schema.access import compile_access
from gateway.schema.event_keys import declared_keys
from gateway.schema.services import COMMAND_SERVICES, EVENT_SERVICE
from gateway.server.grpc.ages import connection_ages
from gateway.server.grpc.beside import Beside
from gateway.server.grpc.rules import Rules
from gateway.server.grpc.server import GrpcServer
from gateway.server.hooks.identity import Identity
from gateway.server.hooks.in_flight import leaves_within_s
from gateway.server.http.admin import admin_app
from gateway.server.http.console.assembly import ConsoleAccess, console_of, console_routes
from gateway.server.http.public import public_app
from gateway.server.http.refusals import TOO_MANY_CONNECTIONS
from gateway.server.http.server import HttpServer
from gateway.server.http.slots import admin_connections_max, connections_max
from gateway.server.services.bounds import CallerBounds
from gateway.server.services.commands import CommandHandler
from gateway.server.services.conference_events import FeedEvents
from gateway.server.services.event_service import event_methods
from gateway.server.services.feed_info import FeedInfo
from gateway.server.services.stored_events import StoredEvents
from gateway.server.services.subscribe import SubscribeStream
from gateway.server.services.watch import WatchStream
from gateway.telemetry.logs import Logs
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.telemetry import Telemetry
from gateway.telemetry.tracing import NoTraces, Traces
from gateway.tls.served import ServedCertificates
from gateway.upstream.assembly import Hooks, Upstream
from gateway.upstream.bound import command_requests, operations_of
from gateway.upstream.conferences import RestConferences
from gateway.upstream.transport import Transport
from gateway.version import gateway_version

# How long a webhook that is being received when calls have ended has for its rest and its response,
# in seconds. Both take milliseconds; who sends no more must not hold up the end.
_LATE_WEBHOOK_S = 2.0

_logger = logging.getLogger(__name__)


class Gateway:
    """The whole service. Build it with `start`; `stop` drains it."""

    def __init__(
        self,
        settings: Settings,
        log: EventLog,
        feed: Feed,
        completeness: Completeness,
        transport: Transport | None,
        clock: Clock,
        telemetry: Telemetry,
        logs: Logs | None = None,
        traces: Traces | None = None,
        callers: FiledCallers | None = None,
    ) -> None:
        self._settings = settings
        self.callers = callers
        self._clock = clock
        self._log = log
        self._feed = feed
        self._retention = log.retention or limits_of(settings)
        self._buffers = ByteBudget(settings.buffers or buffers_within(memory_limit()))
        self._traces = traces or NoTraces()
        self.metrics, self._observe = telemetry.metrics, telemetry.observe
        self.metrics.watch_traces(self._traces)
        self.metrics.watch_buffers(self._buffers)
        self.metrics.watch_logs(logs)
        self.certificates = ServedCertificates(settings.tls_files())
        self.metrics.watch_certificates(self.certificates.expiries)
        self._upstream = Upstream.of(
            settings,
            f"telnyx-grpc-gateway/{gateway_version()}",
            self._buffers,
            Hooks(self._observe, clock.provider_time, self._look),
            transport,
        )
        self._client = self._upstream.client
        watch_upstream(self.metrics, self._upstream)
        self._ingest = Ingest(
            settings,
            log,
            feed.keys,
            completeness,
            self._client,
            clock,
            self._buffers,
            self._observe,
            self._traces.begin,
        )
        watch_feed(self.metrics, feed, clock, self._ingest)
        watch_log(self.metrics, log, LogFile(settings.log_file, self._retention.size_bytes))
        feed.tell(self._observe)
        self._conferences = Conferences(
            FeedEvents(feed),
            RestConferences(self._client),
            settings.call_timeout,
            settings.share_of(settings.watch_requests),
        )
        self.metrics.watch_questions(self._conferences)
        self._console = console_of(feed, self.metrics.instruments.sums)
        access = compile_access((*COMMAND_SERVICES, EVENT_SERVICE))
        self._operations = operations_of(COMMAND_SERVICES)
        self._commands = SharedCommands(
            log.broadcast,
            command_requests(self._operations),
            (self._conferences.command_accepted, self._console.command_accepted),
        )
        self.metrics.watch_shared_commands(self._commands)
        identity = None if callers is None else Identity(callers.callers, access)
        self.rules = Rules.of(
            self._observe, self._buffers, begin=self._traces.begin, identity=identity
        )
        self.metrics.watch_calls(self.rules.in_flight)
        self._grpc = self._build_grpc()
        self._background = Background()
        # Why the gateway serves nothing, None while it does.
        self._phase: str | None = "starting"
        self._health = self._build_health()
        receiver = self._ingest.receiver
        self._http = HttpServer(public_app(receiver), receiver.connection_ended, connections_max())
        self._admin = HttpServer(
            admin_app(
                self.metrics,
                self._health.look,
                lambda: self._background.ended,
                console_routes(
                    settings,
                    self._console,
                    feed,
                    self._conferences,
                    self._operations,
                    self._client,
                    self._commands.accepted,
                    self._health.look,
                    ConsoleAccess(None if callers is None else callers.callers, access),
                ),
                {
                    "replica": settings.replica_name,
                    "backend": log.home,
                    "durability": log.durability,
                },
            ),
            self._admin_connection_ended,
            admin_connections_max(),
        )
        self.grpc_address = settings.grpc_address
        self.http_address = settings.http_address
        self.admin_address = settings.admin_address

    @classmethod
    async def start(
        cls,
        settings: Settings,
        transport: Transport | None = None,
        logs: Logs | None = None,
        traces: Traces | None = None,
    ) -> "Gateway":
        """Build and start everything; `logs` makes lines of calls, and counts others.

        `traces` makes traces, and is closed at the end; without it trace contexts are passed on.

        Raises BindingError for protos that cannot be bound and AccessError for those that do not
        say who may call, CallersFileError for a callers file that cannot be used, LogError for a
        log that cannot be opened or read, CredentialsError for a certificate that nobody can be
        served with, and OSError for an address that cannot be had; nothing is left running then.
        """
        clock = Clock(time.time, time.monotonic)
        callers = callers_of(settings.callers)
        telemetry = Telemetry(Metrics(), settings.access_log, settings.slow_call, traces, logs)
        form = event_format(declared_keys())
        log = await open_event_log(settings, form, telemetry.observe)
        try:
            feed = await Feed.of(log)
            complete = await Completeness.begin(log)
            gateway = cls(
                settings, log, feed, complete, transport, clock, telemetry, logs, traces, callers
            )
        except BaseException:
            await log.close()
            raise
        try:
            await gateway._listen()
        except BaseException:
            await gateway.stop()
            raise
        return gateway

    async def stop(self) -> None:
        """Drain: streams ended with their cursors, no new calls, webhooks responded to, log closed.

        Takes the drain timeout at most, and some seconds for what does not end by itself. Webhooks
        are received, and `/readyz` says no, until calls have ended.
        """
        if self._phase == "stopped":
            return
        self._phase, settings = "shutting down", self._settings
        # In this order, and before anything else can run: who watches the health hears first.
        self._health.look()
        # Where no other gateway has the log, streams have nowhere to go before this one is gone.
        within_s = leaves_within_s(settings.drain_timeout, settings.call_timeout)
        self.rules.in_flight.drain(0.0 if self._log.copying is None else within_s)
        await self._grpc.drain(settings.drain_timeout)
        self._feed.drain()
        await self._console.close()
        await asyncio.gather(
            self._grpc.stop(),
            self._http.stop(_LATE_WEBHOOK_S),
            self._admin.stop(_LATE_WEBHOOK_S),
        )
        self._ingest.receiver.close()
        await self._background.stop()
        await self._conferences.close()
        await self._client.close()
        await self._log.close()
        await asyncio.to_thread(self._traces.close)
        self._phase = "stopped"

    async def _listen(self) -> None:
        settings, certificate = self._settings, self.certificates.of
        self.admin_address = await self._admin.start(
            settings.admin_address, certificate(ADMIN.name)
        )
        self.http_address = await self._http.start(settings.http_address, certificate(HTTP.name))
        if self._log.copying is not None:
            await self._log.copying.settled()
        self.grpc_address = await self._grpc.start(settings.grpc_address, certificate(GRPC.name))
        work = {
            **pruning(self._log, self._retention, self._clock.for_deleting),
            **self._upstream.work,
            **once_filled(self._log, self._ingest.work),
            **self.certificates.work,
            **({} if self.callers is None else self.callers.work),
            "the look after the health": self._health.run,
            "the console's charts": self._console.vitals.run,
            "the watch on the event loop": LoopWatch().run,
            **rotation(
                self._settings,
                {
                    "TELNYX_API_KEY": self._upstream.credentials.use_api_key,
                    "TELNYX_PUBLIC_KEY": self._ingest.verifier.use_keys,
                    "GATEWAY_UPSTREAM_PROXY": self._upstream.credentials.use_proxy,
                },
            ),
        }
        self._background.start(work)
        self._phase = None
        self._health.look()

    def _build_grpc(self) -> GrpcServer:
        settings, feed, age_max_s = self._settings, self._feed, self._settings.stream_age_max
        operations = self._operations
        bounds = CallerBounds.of(operations, self._client, feed.index, settings.call_timeout)
        commands = CommandHandler(
            operations,
            self._client,
            feed.cursor,
            self._commands.accepted,
            settings.call_timeout,
            self.rules.shell,
            bounds,
            Effects.following(feed.index, COMMAND_SERVICES, self._observe),
        )
        random_ = random.Random()
        parts = (
            SubscribeStream(feed, age_max_s, random_),
            WatchStream(self._conferences, lambda: feed.cursors.text, age_max_s, random_, bounds),
            StoredEvents(feed.index, lag=lambda: feed.lag),
            FeedInfo(
                feed,
                self._log,
                self._settings.replica_name,
                self._retention,
                lambda: self._ingest.report,
                self._clock.now,
            ),
        )
        events = event_methods(EVENT_SERVICE, parts, self.rules.shell)
        return GrpcServer(
            {**commands.methods, EVENT_SERVICE.full_name: events},
            [service.full_name for service in (*COMMAND_SERVICES, EVENT_SERVICE)],
            *connection_ages(age_max_s),
            self.rules,
            settings.grpc_connections,
            self._observe,
            Beside(settings.health, settings.reflection),
        )

    def _build_health(self) -> Health:
        services = Services(
            frozenset(it.full_name for it in COMMAND_SERVICES), frozenset([EVENT_SERVICE.full_name])
        )
        journal, background = self._log.journal, self._background
        components = components_of(
            services,
            lambda: self._phase,
            lambda: journal.problem,
            lambda: index_filling(self._log),
            self._upstream,
            lambda: self.certificates.expired(time.time()),
            lambda: background.failing or background.ended,
        )
        health = Health(components, services.all, self._grpc.tell_health, self._observe)
        self.metrics.watch_components(health.working)
        return health

    def _admin_connection_ended(self, reason: str, peer: str) -> None:
        is_shortage = reason == TOO_MANY_CONNECTIONS.reason
        self._observe(Refused(Subject.ADMIN_CONNECTION, reason, peer, is_shortage=is_shortage))

    async def _look(self) -> None:
        self._health.look()
