"""Spans made of records: each when its work is over, as OpenTelemetry's conventions name things.

The names are those of its semantic conventions 1.40 for RPC and HTTP. What is ours begins with
`gateway.`. No span has anything that a record must not have, and long texts are cut.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

from gateway.records.attempts import ABANDONED, AttemptEnded
from gateway.records.calls import CallEnded
from gateway.records.effects import EffectSeen
from gateway.records.webhooks import WebhookReceived
from gateway.tracecontext import Span, TraceContext

# Records that spans are made of.
Traced: TypeAlias = AttemptEnded | CallEnded | EffectSeen | WebhookReceived

Attribute: TypeAlias = str | int | bool

# Texts that somebody else has sent are cut, in characters.
_TEXT_MAX = 200

# The statuses that are a server's failure and not its caller's (semantic conventions, "gRPC").
_SERVER_FAILURES = frozenset(
    {
        "UNKNOWN",
        "DEADLINE_EXCEEDED",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
    }
)

# Methods by their own names; any other text is somebody's invention (RFC 9110, 9.3; RFC 5789).
_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)

_WEBHOOK_ROUTE = "/webhooks/telnyx"


class Kind(Enum):
    """Which side of a call a span is."""

    SERVER = "server"
    CLIENT = "client"
    INTERNAL = "internal"


class EndedSpan(NamedTuple):
    """A span in full. `began` is on the monotonic clock; `failed` says why it has, if it has."""

    span: Span
    name: str
    kind: Kind
    began: float
    seconds: float
    attributes: Mapping[str, Attribute]
    failed: str = ""
    links: Sequence[TraceContext] = ()


def spans_of(record: Traced) -> Iterator[EndedSpan]:
    """Return the spans of a record, none if they are not recorded."""
    if record.span is None or not record.span.is_recorded:
        return
    match record:
        case CallEnded():
            yield _of_call(record, record.span)
        case AttemptEnded():
            yield _of_attempt(record, record.span)
        case WebhookReceived():
            yield from _of_webhook(record, record.span)
        case EffectSeen():
            yield _of_effect(record)


def _of_call(call: CallEnded, span: Span) -> EndedSpan:
    failed = call.status if call.status in _SERVER_FAILURES else ""
    attributes: dict[str, Attribute] = {
        "rpc.system.name": "grpc",
        "rpc.method": call.method,
        "rpc.response.status_code": call.status,
    }
    for name, text in (
        ("gateway.caller", call.caller),
        ("gateway.reason", call.reason),
        ("gateway.request_id", call.request_id),
    ):
        if text:
            attributes[name] = text[:_TEXT_MAX]
    if failed:
        attributes["error.type"] = failed
    if call.refused is not None:
        attributes["gateway.refusal"] = call.refused.kind
    return EndedSpan(span, call.method, Kind.SERVER, call.began, call.seconds, attributes, failed)


def _of_attempt(attempt: AttemptEnded, span: Span) -> EndedSpan:
    attributes: dict[str, Attribute] = {
        "http.request.method": attempt.http_method,
        "url.full": attempt.url,
        **_server_of(attempt.url),
        "gateway.operation": attempt.operation,
    }
    if attempt.number > 1:
        attributes["http.request.resend_count"] = attempt.number - 1
    if attempt.is_hedge:
        attributes["gateway.hedge"] = True
    failed = ""
    if attempt.result == ABANDONED:
        # Another one has won, or nobody waits any more: which is no failure of its own.
        attributes["gateway.abandoned"] = True
    elif attempt.result.isdecimal():
        attributes["http.response.status_code"] = int(attempt.result)
        failed = attempt.result if int(attempt.result) >= 400 else ""
    else:
        failed = attempt.result
    if failed:
        attributes["error.type"] = failed
    name = f"{attempt.http_method} {attempt.operation}"
    began, seconds = attempt.began, attempt.seconds
    return EndedSpan(span, name, Kind.CLIENT, began, seconds, attributes, failed)


def _of_webhook(webhook: WebhookReceived, span: Span) -> Iterator[EndedSpan]:
    method = webhook.http_method if webhook.http_method in _METHODS else "_OTHER"
    attributes: dict[str, Attribute] = {
        "http.request.method": method,
        "http.route": _WEBHOOK_ROUTE,
        "url.path": _WEBHOOK_ROUTE,
        "http.request.body.size": webhook.size_bytes,
        "http.response.status_code": webhook.status,
        "gateway.webhook.result": webhook.result,
    }
    if webhook.event_id:
        attributes["gateway.event.id"] = webhook.event_id[:_TEXT_MAX]
        attributes["gateway.event.type"] = webhook.event_type[:_TEXT_MAX]
    failed = ""
    if webhook.status >= 500:
        failed = attributes["error.type"] = str(webhook.status)
    began, seconds, ended = webhook.began, webhook.seconds, webhook.began + webhook.seconds
    name = f"{method} {_WEBHOOK_ROUTE}"
    yield EndedSpan(span, name, Kind.SERVER, began, seconds, attributes, failed)
    stages = webhook.stages
    for name, began, over in (
        ("verify signature", stages.read, stages.verified),
        ("append event", stages.decoded, ended if stages.decoded else 0.0),
    ):
        if began:
            # What never was over is where the webhook ended.
            why = "" if over and (name != "append event" or not failed) else webhook.result
            seconds = max(0.0, (over or ended) - began)
            yield EndedSpan(span.child(), name, Kind.INTERNAL, began, seconds, {}, why)


def _of_effect(effect: EffectSeen) -> EndedSpan:
    attributes: dict[str, Attribute] = {
        "gateway.command": effect.method,
        "gateway.receipt.cursor": effect.cursor,
        "gateway.event.id": effect.event_id[:_TEXT_MAX],
        "gateway.event.type": effect.event_type[:_TEXT_MAX],
        "gateway.event.sequence": effect.sequence,
    }
    links = () if effect.webhook is None else (effect.webhook,)
    name = f"effect {effect.event_type[:_TEXT_MAX]}"
    began, seconds = effect.began, effect.seconds
    return EndedSpan(effect.span, name, Kind.INTERNAL, began, seconds, attributes, "", links)


def _server_of(url: str) -> dict[str, Attribute]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"server.address": parts.hostname or "", "server.port": port}
