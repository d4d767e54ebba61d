"""The provider: whether it can be reached, takes the key, agrees on the time, and posts here."""

import time
from collections.abc import Iterator, Sequence

from gateway.bytebudget import ByteBudget
from gateway.clock import CLOCKS_APART_S
from gateway.config import Settings
from gateway.doctor.finding import Finding, fault, ok, warning
from gateway.ingest.backfill.sweep import Addressees
from gateway.ingest.webhooks.receiver import WEBHOOK_PATH
from gateway.upstream.assembly import Hooks, Upstream
from gateway.upstream.deliveries import (
    DeliveriesPage,
    DeliveriesRequest,
    Delivery,
    ListDeliveries,
    WebhookDeliveries,
)
from gateway.upstream.errors import Reason, UpstreamError

# How long the provider may take, in seconds, retries included.
_TIMEOUT_S = 15.0

# What was sent within a day is looked at, in seconds: what an application was set to last.
_LOOKED_AT_S = 86_400.0

# A clock that is further off is named, in seconds; one that is off by the tolerance of webhooks is
# a fault.
_CLOCK_OFF_S = 5.0

_BUFFERS = 16 * 1024 * 1024

# How many addresses are shown.
_SHOWN_MAX = 3


async def findings(settings: Settings, user_agent: str) -> Sequence[Finding]:
    """Ask the provider for its latest deliveries, which it takes the key for.

    One request, retries aside: its failure says what is wrong, its `Date` what time it is there,
    and its rows where the provider posts.
    """
    times: list[float] = []

    async def unheard() -> None:
        """Nobody asks how the provider is."""

    upstream = Upstream.of(
        settings,
        user_agent,
        ByteBudget(_BUFFERS),
        Hooks(lambda record: None, lambda moment: times.append(moment - time.time()), unheard),
    )
    now_us = round(time.time() * 1e6)
    request = DeliveriesRequest(now_us - round(_LOOKED_AT_S * 1e6), now_us)
    try:
        page = await WebhookDeliveries(upstream.client, _TIMEOUT_S).page(request)
    except UpstreamError as error:
        return [_refused(settings, error), *_clock(settings, times)]
    finally:
        await upstream.client.close()
    return [
        ok("provider", f"{settings.base_url} responds"),
        ok("TELNYX_API_KEY", "the provider takes it"),
        *_clock(settings, times),
        *_webhooks(settings, page),
    ]


def _refused(settings: Settings, error: UpstreamError) -> Finding:
    if error.reason in (Reason.UPSTREAM_CREDENTIALS_REJECTED, Reason.NOT_AUTHORIZED):
        return fault(
            "TELNYX_API_KEY",
            f"the provider at {settings.base_url} rejects it",
            "set it to a key (v2) that the portal shows as active",
        )
    return fault(
        "provider",
        f"{settings.base_url}: {error.message.removeprefix(f'{ListDeliveries().name}: ')}",
        "check TELNYX_BASE_URL, GATEWAY_UPSTREAM_PROXY and the network, then the provider's status",
    )


def _clock(settings: Settings, times: Sequence[float]) -> Iterator[Finding]:
    if not times:
        return
    off = times[-1]
    text = f"{abs(off):.1f} s {'behind' if off > 0 else 'ahead of'} the provider's"
    limit = min(settings.webhook_tolerance, CLOCKS_APART_S)
    if abs(off) > limit:
        yield fault("clock", text, "set it: signatures of all webhooks are rejected like this")
    elif abs(off) > _CLOCK_OFF_S:
        yield warning("clock", text, "have it synchronised (NTP)")
    else:
        yield ok("clock", text)


def _webhooks(settings: Settings, page: DeliveriesPage) -> Iterator[Finding]:
    here = Addressees(settings.webhook_urls)
    entries: list[Delivery] = list(page.deliveries)
    known = {url for entry in entries for url in entry.urls or ()}
    if not known:
        yield warning(
            "webhooks",
            "the provider has sent none for a day",
            f"set the webhook URL of the voice application to https://YOUR-HOST{WEBHOOK_PATH}",
        )
        return
    ours = {url for entry in entries if entry.urls and here.include(entry) for url in entry.urls}
    shown = ", ".join(sorted(known)[:_SHOWN_MAX])
    if not ours:
        wanted = " or ".join(settings.webhook_urls) or f"an address that ends in {WEBHOOK_PATH}"
        yield fault(
            "webhooks",
            f"the provider posts to {shown}",
            f"have its voice application post to {wanted}, or set GATEWAY_WEBHOOK_URL",
        )
        return
    yield ok("webhooks", f"the provider posts to {', '.join(sorted(ours)[:_SHOWN_MAX])}")
