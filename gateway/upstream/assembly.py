"""The upstream half, put together: a client, and the watches on what it calls."""

import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gateway.aside import Aside
from gateway.bytebudget import ByteBudget
from gateway.config import Settings
from gateway.records.attempts import AttemptEnded
from gateway.records.observer import Observer
from gateway.upstream.client import TelnyxClient, request_headers
from gateway.upstream.credentials import Credentials
from gateway.upstream.health.health import ProviderHealth
from gateway.upstream.health.probe import CONNECTIONS, ProviderWatch, WatchedTransport
from gateway.upstream.health.saturation import Saturation
from gateway.upstream.sending.exchange import Sending
from gateway.upstream.sending.limit import CONNECTIONS_PER_REQUEST, LimitedTransport
from gateway.upstream.sending.retry import RetryBudget, RetryPolicy
from gateway.upstream.transport import Transport
from gateway.upstream.transports.provider_time import DatedTransport
from gateway.upstream.transports.pyreqwest_transport import PyreqwestTransport
from gateway.upstream.transports.replaceable import ReplaceableTransport
from gateway.upstream.transports.scrubbing import ScrubbedTransport, Scrubber, secrets_of


@dataclass(frozen=True, slots=True)
class Hooks:
    """Who hears of what happens here.

    `attempt_ended` is given each request's end, `provider_time` the provider's time (seconds since
    1970), and `changed` is awaited when commands cannot be accepted any more, or can again.
    """

    attempt_ended: Observer[AttemptEnded]
    provider_time: Callable[[float], None]
    changed: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Upstream:
    """The half of the gateway that calls the provider. `work` is to run until the end, by name."""

    client: TelnyxClient
    requests: LimitedTransport
    retries: RetryBudget
    work: dict[str, Callable[[], Coroutine[Any, Any, None]]]
    credentials: Credentials
    _health: ProviderHealth
    _saturation: Saturation

    @classmethod
    def of(
        cls,
        settings: Settings,
        user_agent: str,
        buffers: ByteBudget,
        hooks: Hooks,
        transport: Transport | None = None,
    ) -> "Upstream":
        """Build it. Large responses count in `buffers`; `transport` stands in for the settings'."""
        api_key = settings.api_key.get_secret_value() if settings.api_key else ""
        probed = settings.upstream_probe == "on"
        aside = Aside()
        wire = transport or transport_of(settings, buffers)
        replaceable = ReplaceableTransport(wire)
        scrubber = Scrubber(secrets_of(api_key, _proxy_of(settings)))
        # Only a proxy that is read from a file changes; other gateways have a layer less.
        is_filed = "GATEWAY_UPSTREAM_PROXY" in settings.files
        scrubbed = ScrubbedTransport(replaceable if is_filed else wire, scrubber, aside)
        dated = DatedTransport(scrubbed, hooks.provider_time)
        health = ProviderHealth(_host_of(settings.base_url), time.monotonic, must_be_reached=probed)
        watch = ProviderWatch(
            dated,
            settings.base_url,
            request_headers(api_key, user_agent),
            health,
            hooks.changed,
            probe_first=probed,
        )
        limited = LimitedTransport(
            WatchedTransport(dated, health),
            settings.share_of(settings.upstream_in_flight),
            settings.upstream_waiting,
        )
        saturation = Saturation(limited, hooks.changed)
        retries = RetryBudget()
        sending = Sending(
            limited,
            RetryPolicy(),
            retries,
            random.Random(),
            hooks.attempt_ended,
            settings.hedge_after,
            aside=aside,
        )
        client = TelnyxClient(sending, settings.base_url, api_key, user_agent, buffers)
        work = {
            "the provider's health check": watch.run,
            "the check for stalled requests": saturation.run,
        }
        credentials = Credentials(
            api_key,
            _proxy_of(settings),
            user_agent,
            (client, watch),
            scrubbed,
            lambda proxy: replaceable.replace(_transport(settings, proxy, buffers)),
        )
        return cls(client, limited, retries, work, credentials, health, saturation)

    @property
    def key_problem(self) -> str | None:
        """That the provider rejects the key, None if it does not."""
        return self._health.key_problem

    @property
    def provider_problem(self) -> str | None:
        """Why the provider cannot be reached, None if it can."""
        return self._health.provider_problem

    @property
    def requests_problem(self) -> str | None:
        """That requests to the provider hang, None if they do not."""
        return self._saturation.not_ready


def transport_of(settings: Settings, buffers: ByteBudget) -> Transport:
    """Return the transport as the settings want it. Large responses count in `buffers`."""
    return _transport(settings, _proxy_of(settings), buffers)


def _transport(settings: Settings, proxy: str | None, buffers: ByteBudget) -> Transport:
    ca = settings.upstream_ca
    return PyreqwestTransport(
        settings.share_of(settings.upstream_in_flight) * CONNECTIONS_PER_REQUEST + CONNECTIONS,
        proxy=proxy,
        certificates=ca.der if ca else (),
        budget=buffers,
    )


def _host_of(url: str) -> str:
    """Return the scheme and host of a URL, for people."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _proxy_of(settings: Settings) -> str | None:
    proxy = settings.upstream_proxy
    return proxy.get_secret_value() if proxy else None
