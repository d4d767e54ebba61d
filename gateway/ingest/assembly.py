"""The half that brings events into the log, put together: webhooks, and backfill beside them."""

import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.bytebudget import ByteBudget
from gateway.clock import CLOCKS_APART_S, Clock
from gateway.config import Settings
from gateway.ingest.backfill.backfill import Backfill
from gateway.ingest.backfill.complete import Completeness
from gateway.ingest.backfill.holding import SourceWhileHeld, look_on
from gateway.ingest.backfill.report import Report, State
from gateway.ingest.backfill.sweep import Addressees, Sweeper
from gateway.ingest.webhooks.decoder import WebhookDecoder
from gateway.ingest.webhooks.receiver import WebhookReceiver
from gateway.ingest.webhooks.signature import SignatureVerifier
from gateway.journal.ports import EventLog
from gateway.records.observer import Observer, Record
from gateway.records.webhooks import WebhookReceived
from gateway.schema.event_keys import EventKey
from gateway.tracecontext import Begin
from gateway.upstream.client import TelnyxClient
from gateway.upstream.deliveries import WebhookDeliveries

# How webhooks end whose signature, and with it the time, was found to be right.
_VERIFIED = frozenset({"stored", "duplicate", "log_unavailable"})


class Ingest:
    """Receives webhooks, and fetches those that were missed, unless a setting says not to.

    What one of them learns the other needs: so they are put together. `observe` hears of both.
    """

    def __init__(
        self,
        settings: Settings,
        log: EventLog,
        keys: Sequence[EventKey],
        completeness: Completeness,
        client: TelnyxClient,
        clock: Clock,
        buffers: ByteBudget,
        observe: Observer[Record],
        begin: Begin,
    ) -> None:
        self._settings = settings
        self._completeness = completeness
        self._clock = clock
        self._observe = observe
        self.verifier = SignatureVerifier(
            settings.public_keys, time.time, settings.webhook_tolerance
        )
        decoder = WebhookDecoder(keys, observe)
        self.receiver = WebhookReceiver(
            self.verifier, decoder, log.journal, time.time, self._received, buffers, begin=begin
        )
        self._lease = log.lease
        self._is_shared = log.copying is not None
        self._backfill: Backfill | None = None
        if settings.backfill == "on":
            self._backfill = backfill = self._build_backfill(log, decoder, client)
            if self._is_shared:
                # It is not silent where others are posted to.
                log.index.listen(lambda _: backfill.events_came())

    @property
    def report(self) -> Report:
        """How far backfill has come."""
        if self._backfill is None:
            return Report(State.OFF, self._completeness.complete)
        report = replace(self._backfill.report, holder=self._lease.holder)
        return report if self._lease.is_held else replace(report, state=State.STANDBY, error="")

    @property
    def is_backfilling(self) -> bool:
        """Whether backfill is this gateway's to do."""
        return self._backfill is not None and self._lease.is_held

    @property
    def complete_until_s(self) -> float:
        """Before which time no event is known to be missing, in seconds since 1970, or zero."""
        complete = self.report.complete
        return complete.until_us / 1e6 if complete else 0.0

    @property
    def work(self) -> Mapping[str, Callable[[], Coroutine[Any, Any, None]]]:
        """What is to run until the end, by name."""
        works: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
        if self._is_shared:
            works["the backfill of others"] = lambda: look_on(self._completeness, self._lease)
        if (backfill := self._backfill) is not None:
            works["backfill"] = lambda: self._lease.hold(backfill.take_over)
        return works

    def _build_backfill(
        self, log: EventLog, decoder: WebhookDecoder, client: TelnyxClient
    ) -> Backfill:
        settings = self._settings
        deliveries = WebhookDeliveries(client, settings.call_timeout)
        sweeper = Sweeper(
            SourceWhileHeld(deliveries, log.lease),
            decoder,
            log.journal,
            Addressees(settings.webhook_urls),
            lambda: self._clock.now().likely,
        )
        return Backfill(
            sweeper,
            log.index,
            self._completeness,
            settings.retention_age,
            settings.backfill_interval,
            time.time,
            observe=self._observe,
            time=self._clock,
            ask_time=deliveries.touch,
            check=log.lease.check,
        )

    def _received(self, received: WebhookReceived) -> None:
        self._observe(received)
        # A signature that is accepted later than by default tells less of the time.
        if received.result in _VERIFIED and self._settings.webhook_tolerance <= CLOCKS_APART_S:
            self._clock.webhook_verified()
        if self._backfill is not None:
            self._backfill.webhook_received(received.result)
