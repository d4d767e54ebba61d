"""The way to the provider, as the settings want it."""

from urllib.parse import urlsplit

from gateway.aside import Aside
from gateway.bytebudget import ByteBudget
from gateway.config import Settings
from gateway.upstream.health.probe import CONNECTIONS
from gateway.upstream.sending.limit import CONNECTIONS_PER_REQUEST
from gateway.upstream.transport import Transport
from gateway.upstream.transports.httpx_transport import HttpxTransport
from gateway.upstream.transports.pyreqwest_transport import PyreqwestTransport
from gateway.upstream.transports.scrubbing import ScrubbedTransport, Scrubber, secrets_of


def transport_of(settings: Settings, budget: ByteBudget) -> Transport:
    """Return the transport that is wanted; its large responses count in `budget`."""
    chosen = HttpxTransport if settings.http_client == "httpx" else PyreqwestTransport
    ca = settings.upstream_ca
    return chosen(
        settings.upstream_in_flight * CONNECTIONS_PER_REQUEST + CONNECTIONS,
        proxy=_proxy_of(settings),
        certificates=ca.der if ca else (),
        budget=budget,
    )


def scrubbed_transport(transport: Transport, settings: Settings, aside: Aside) -> Transport:
    """Return a transport that brings back none of the secrets in the settings."""
    api_key = settings.api_key.get_secret_value() if settings.api_key else ""
    return ScrubbedTransport(transport, Scrubber(secrets_of(api_key, _proxy_of(settings))), aside)


def host_of(url: str) -> str:
    """Return the scheme and host of an address, for people."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _proxy_of(settings: Settings) -> str | None:
    proxy = settings.upstream_proxy
    return proxy.get_secret_value() if proxy else None
