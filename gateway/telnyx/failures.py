"""Failures: what the provider answered, or that it did not, as GatewayError.

One table gives the gRPC code and the reason for each kind of answer; provider codes refine what
the HTTP status leaves open.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from grpc import StatusCode

from gateway.errors import FieldViolation, GatewayError, Resource, shortened
from gateway.telnyx.binding import Binding, RestCall, Safety
from gateway.telnyx.transport import HttpResponse, NotSentError, OversizeError, TransportError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a kind of answer means: the gRPC code, and the reason in ErrorInfo."""

    code: StatusCode
    reason: str


# By provider error code, where it says more than the HTTP status.
BY_PROVIDER_CODE: Mapping[str, Outcome] = {
    "10004": Outcome(StatusCode.INVALID_ARGUMENT, "MISSING_PARAMETER"),
    "10005": Outcome(StatusCode.NOT_FOUND, "NOT_FOUND"),
    "10006": Outcome(StatusCode.INVALID_ARGUMENT, "INVALID_ID"),
    "10009": Outcome(StatusCode.INTERNAL, "UPSTREAM_CREDENTIALS_REJECTED"),
    "10010": Outcome(StatusCode.PERMISSION_DENIED, "NOT_AUTHORIZED"),
    "10011": Outcome(StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED"),
    "10012": Outcome(StatusCode.ALREADY_EXISTS, "DUPLICATE"),
    "10021": Outcome(StatusCode.FAILED_PRECONDITION, "IN_USE"),
}

# Call-control codes tell about the state of a call or conference.
_STATE_CODE = re.compile(r"90\d{3}")
STATE_CONFLICT = Outcome(StatusCode.FAILED_PRECONDITION, "INVALID_STATE")

BY_STATUS: Mapping[int, Outcome] = {
    400: Outcome(StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
    401: Outcome(StatusCode.INTERNAL, "UPSTREAM_CREDENTIALS_REJECTED"),
    402: Outcome(StatusCode.FAILED_PRECONDITION, "PAYMENT_REQUIRED"),
    403: Outcome(StatusCode.PERMISSION_DENIED, "NOT_AUTHORIZED"),
    404: Outcome(StatusCode.NOT_FOUND, "NOT_FOUND"),
    409: Outcome(StatusCode.ABORTED, "CONFLICT"),
    410: Outcome(StatusCode.NOT_FOUND, "NOT_FOUND"),
    412: Outcome(StatusCode.FAILED_PRECONDITION, "INVALID_STATE"),
    413: Outcome(StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
    414: Outcome(StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
    422: Outcome(StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
    429: Outcome(StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED"),
}

# Answers that do not tell whether the command ran: it may be repeated where that is harmless.
UNKNOWN_OUTCOME_STATUSES = frozenset({408, 500, 502, 503, 504})

REPEATABLE_FAILURE = Outcome(StatusCode.UNAVAILABLE, "UPSTREAM_UNAVAILABLE")
UNKNOWN_FAILURE = Outcome(StatusCode.UNKNOWN, "OUTCOME_UNKNOWN")
UNEXPECTED_STATUS = Outcome(StatusCode.INTERNAL, "UPSTREAM_UNEXPECTED_STATUS")
UNREADABLE_ANSWER = Outcome(StatusCode.INTERNAL, "UPSTREAM_UNREADABLE_ANSWER")


@dataclass(frozen=True, slots=True)
class ProviderError:
    """One entry of a provider's error body; fields are empty where it says nothing."""

    code: str = ""
    title: str = ""
    detail: str = ""
    pointer: str = ""
    help_url: str = ""

    @property
    def text(self) -> str:
        """The provider's words."""
        return self.detail or self.title


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """A provider's error body, as far as it can be read."""

    errors: tuple[ProviderError, ...] = field(default=())

    @classmethod
    def read(cls, body: bytes) -> "ErrorBody":
        """Read a body of any kind; one that is not in the provider's form has no errors."""
        try:
            document = orjson.loads(body)
            entries = document["errors"]
        except (ValueError, KeyError, TypeError):
            return cls()
        if not isinstance(entries, list):
            return cls()
        return cls(tuple(_entry(entry) for entry in entries if isinstance(entry, dict)))


def failure_of_answer(
    binding: Binding, request: Any, call: RestCall, response: HttpResponse
) -> GatewayError:
    """Return the error for an answer outside 2xx."""
    body = ErrorBody.read(response.body)
    first = body.errors[0] if body.errors else ProviderError()
    outcome = _outcome(response.status, first.code, binding.safety)
    words = first.text or "the provider gave no reason"
    metadata = {
        "http_status": str(response.status),
        "provider_code": first.code,
        "method": binding.name,
        "command_id": call.command_id,
    }
    if outcome is UNKNOWN_FAILURE:
        metadata["outcome"] = "unknown"
    resource = None
    if outcome.code is StatusCode.NOT_FOUND:
        resource = Resource(*binding.resource_of(request))
    return GatewayError(
        outcome.code,
        outcome.reason,
        f"{binding.name}: {_explained(outcome, shortened(words))}",
        metadata,
        _violations(binding, body) if outcome.code is StatusCode.INVALID_ARGUMENT else (),
        resource,
        retry_after(response.headers) if outcome.code is StatusCode.RESOURCE_EXHAUSTED else None,
        first.help_url,
        response.headers.get("x-request-id", ""),
    )


def failure_of_transport(binding: Binding, call: RestCall, error: TransportError) -> GatewayError:
    """Return the error for a request that got no answer."""
    metadata = {"method": binding.name, "command_id": call.command_id}
    if isinstance(error, OversizeError):
        return _named(UNREADABLE_ANSWER, f"{binding.name}: {error}", metadata)
    if isinstance(error, NotSentError):
        text = f"{binding.name}: the provider cannot be reached ({error}); call again"
        return _named(REPEATABLE_FAILURE, text, metadata)
    if binding.safety is Safety.ONCE:
        text = f"{binding.name}: {error}; it may have run, and a repeat would run it again"
        return _named(UNKNOWN_FAILURE, text, metadata | {"outcome": "unknown"})
    text = f"{binding.name}: {error}; call again, nothing can happen twice"
    return _named(REPEATABLE_FAILURE, text, metadata)


def unreadable_answer(binding: Binding, call: RestCall, why: str) -> GatewayError:
    """Return the error for a 2xx answer that cannot be read: the command did run."""
    metadata = {"method": binding.name, "command_id": call.command_id}
    if binding.safety is not Safety.READ:
        metadata["outcome"] = "done"
    text = f"{binding.name}: the provider's answer cannot be read: {why}"
    return _named(UNREADABLE_ANSWER, text, metadata)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the provider asks to wait, or None if it does not say."""
    for name in ("retry-after", "x-ratelimit-reset"):
        try:
            seconds = float(headers.get(name, ""))
        except ValueError:
            continue
        # A reset far away is a moment on the clock, not a span: nobody should wait for it blindly.
        if 0 <= seconds <= 3_600:
            return seconds
    return None


def _outcome(status: int, provider_code: str, safety: Safety) -> Outcome:
    if status in UNKNOWN_OUTCOME_STATUSES or status >= 500:
        return UNKNOWN_FAILURE if safety is Safety.ONCE else REPEATABLE_FAILURE
    if status in (401, 403, 429):
        return BY_STATUS[status]
    if _STATE_CODE.fullmatch(provider_code):
        return STATE_CONFLICT
    return BY_PROVIDER_CODE.get(provider_code) or BY_STATUS.get(status, UNEXPECTED_STATUS)


def _explained(outcome: Outcome, words: str) -> str:
    match outcome.reason:
        case "UPSTREAM_CREDENTIALS_REJECTED":
            return f"the provider rejects the gateway's API key (TELNYX_API_KEY): {words}"
        case "OUTCOME_UNKNOWN":
            return f"the provider failed, it may have run: {words}"
        case "UPSTREAM_UNAVAILABLE":
            return f"the provider failed, call again, nothing can happen twice: {words}"
    return words


def _violations(binding: Binding, body: ErrorBody) -> tuple[FieldViolation, ...]:
    return tuple(
        FieldViolation(_proto_path(binding, error.pointer), error.text)
        for error in body.errors
        if error.pointer
    )


def _proto_path(binding: Binding, pointer: str) -> str:
    segments = [part for part in pointer.split("/") if part]
    if segments[:1] == ["body"]:
        del segments[0]
    if not segments:
        return ""
    segments[0] = binding.fields_by_rest_path.get(segments[0], segments[0])
    return ".".join(segments)


def _entry(entry: dict[str, Any]) -> ProviderError:
    source, meta = entry.get("source"), entry.get("meta")
    pointer = source.get("pointer") or source.get("parameter") if isinstance(source, dict) else ""
    return ProviderError(
        code=str(entry.get("code") or ""),
        title=str(entry.get("title") or ""),
        detail=str(entry.get("detail") or ""),
        pointer=str(pointer or ""),
        help_url=str(meta.get("url") or "") if isinstance(meta, dict) else "",
    )


def _named(outcome: Outcome, text: str, metadata: dict[str, str]) -> GatewayError:
    return GatewayError(outcome.code, outcome.reason, text, metadata)
