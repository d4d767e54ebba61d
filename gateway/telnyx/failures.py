"""Failures: what the provider answered, or that it did not, as GatewayError.

One table gives the gRPC code and the reason for each kind of answer; provider codes refine what
the HTTP status leaves open.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from grpc import StatusCode

from gateway.errors import FieldViolation, GatewayError, Resource, shortened
from gateway.telnyx.attempt import (
    PASSING_STATUSES,
    TOO_MANY_REQUESTS,
    History,
    is_harmless_for_the_caller,
)
from gateway.telnyx.operation import Operation, RestCall, Safety
from gateway.telnyx.retry import RetryPolicy, retry_after
from gateway.telnyx.transport import (
    HttpResponse,
    OverloadedError,
    OversizeError,
    TransportError,
)


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

REPEATABLE_FAILURE = Outcome(StatusCode.UNAVAILABLE, "UPSTREAM_UNAVAILABLE")
UNKNOWN_FAILURE = Outcome(StatusCode.UNKNOWN, "OUTCOME_UNKNOWN")
TOO_LATE = Outcome(StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
SHUTTING_DOWN = Outcome(StatusCode.UNAVAILABLE, "GATEWAY_SHUTTING_DOWN")
OVERLOADED = Outcome(StatusCode.RESOURCE_EXHAUSTED, "GATEWAY_OVERLOADED")
UNEXPECTED_STATUS = Outcome(StatusCode.INTERNAL, "UPSTREAM_UNEXPECTED_STATUS")
UNREADABLE_ANSWER = Outcome(StatusCode.INTERNAL, "UPSTREAM_UNREADABLE_ANSWER")

# When to come back to a gateway whose queue is full, in seconds: the queue is about a second long.
OVERLOAD_RETRY_S = 1.0


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


class FailedCall(NamedTuple):
    """A call whose last attempt failed, with all that its error needs to say."""

    operation: Operation[object]
    request: Any
    call: RestCall
    history: History

    @property
    def is_harmless(self) -> bool:
        """Whether the caller may call again whatever became of this call."""
        if not self.history.may_have_run:
            return True
        if self.call.command_id and self.remembered_s <= 0:
            return False
        return is_harmless_for_the_caller(self.call, self.operation.safety)

    @property
    def remembered_s(self) -> float:
        """For how many seconds the provider still knows the command's id."""
        return RetryPolicy().forgotten_at(0) - self.history.age_s

    def metadata(self, **more: str) -> dict[str, str]:
        """Return what every error of the call has in its ErrorInfo."""
        unknown = self.history.may_have_run and self.operation.safety is not Safety.READ
        return {
            "method": self.operation.name,
            "command_id": self.call.command_id,
            "attempts": str(self.history.attempts),
            **({"outcome": "unknown"} if unknown else {}),
            **more,
        }


def failure_of_answer(failed: FailedCall, response: HttpResponse) -> GatewayError:
    """Return the error for an answer outside 2xx."""
    operation = failed.operation
    body = ErrorBody.read(response.body)
    first = body.errors[0] if body.errors else ProviderError()
    outcome = _outcome(failed, response.status, first.code)
    words = first.text or "the provider gave no reason"
    metadata = failed.metadata(http_status=str(response.status), provider_code=first.code)
    resource = None
    if outcome.code is StatusCode.NOT_FOUND:
        resource = Resource(*operation.resource_of(failed.request))
    return GatewayError(
        outcome.code,
        outcome.reason,
        f"{operation.name}: {_explained(outcome, failed, shortened(words))}",
        metadata,
        _violations(operation, body) if outcome.code is StatusCode.INVALID_ARGUMENT else (),
        resource,
        retry_after(response) if outcome.code is StatusCode.RESOURCE_EXHAUSTED else None,
        first.help_url,
        response.headers.get("x-request-id", ""),
    )


def failure_of_transport(failed: FailedCall, error: TransportError) -> GatewayError:
    """Return the error for a call whose last request got no answer."""
    name = failed.operation.name
    if isinstance(error, OversizeError):
        return _named(UNREADABLE_ANSWER, f"{name}: {error}", failed.metadata())
    if not failed.is_harmless:
        text = f"{name}: {_explained(UNKNOWN_FAILURE, failed, str(error))}"
        return _named(UNKNOWN_FAILURE, text, failed.metadata())
    if isinstance(error, OverloadedError):
        return GatewayError(
            OVERLOADED.code,
            OVERLOADED.reason,
            f"{name}: {error}; call again a little later, or run more gateways",
            failed.metadata(),
            retry_after=OVERLOAD_RETRY_S,
        )
    text = f"{name}: {_explained(REPEATABLE_FAILURE, failed, str(error))}"
    return _named(REPEATABLE_FAILURE, text, failed.metadata())


def too_late(failed: FailedCall, words: str) -> GatewayError:
    """Return the error for a call whose deadline has passed, or is too near to send anything."""
    never = {} if failed.history.attempts else {"outcome": "not_sent"}
    text = f"{failed.operation.name}: {words}, within the call's deadline"
    return _named(TOO_LATE, text, failed.metadata(**never))


def cut_off(failed: FailedCall) -> GatewayError:
    """Return the error for a call that a shutdown of the gateway ends before its answer."""
    never = {} if failed.history.attempts else {"outcome": "not_sent"}
    outcome = SHUTTING_DOWN if failed.is_harmless else UNKNOWN_FAILURE
    words = "the gateway was shut down before the provider's answer"
    text = f"{failed.operation.name}: {_explained(outcome, failed, words)}"
    return _named(outcome, text, failed.metadata(**never))


def unreadable_answer(failed: FailedCall, why: str) -> GatewayError:
    """Return the error for a 2xx answer that cannot be read: the command did run."""
    done = {} if failed.operation.safety is Safety.READ else {"outcome": "done"}
    text = f"{failed.operation.name}: the provider's answer cannot be read: {why}"
    return _named(UNREADABLE_ANSWER, text, failed.metadata(**done))


def _outcome(failed: FailedCall, status: int, provider_code: str) -> Outcome:
    if status in PASSING_STATUSES or status >= 500:
        return REPEATABLE_FAILURE if failed.is_harmless else UNKNOWN_FAILURE
    if status == TOO_MANY_REQUESTS and not failed.is_harmless:
        # Refused now, but an attempt before may have run: calling again might run it twice.
        return UNKNOWN_FAILURE
    if status in (401, 403, TOO_MANY_REQUESTS):
        return BY_STATUS[status]
    if _STATE_CODE.fullmatch(provider_code):
        return STATE_CONFLICT
    return BY_PROVIDER_CODE.get(provider_code) or BY_STATUS.get(status, UNEXPECTED_STATUS)


def _explained(outcome: Outcome, failed: FailedCall, words: str) -> str:
    if outcome.reason == "UPSTREAM_CREDENTIALS_REJECTED":
        return f"the provider rejects the gateway's API key (TELNYX_API_KEY): {words}"
    if outcome is REPEATABLE_FAILURE:
        return f"the provider cannot do it now, call again, nothing can happen twice: {words}"
    if outcome is SHUTTING_DOWN:
        return f"call again, nothing can happen twice: {words}"
    if outcome is UNKNOWN_FAILURE and failed.call.command_id and failed.remembered_s > 0:
        return (
            f"it may have run; to be sure, call again within {failed.remembered_s:.0f} s with"
            f" command_id {failed.call.command_id}: {words}"
        )
    if outcome is UNKNOWN_FAILURE:
        return f"it may have run, and calling again would run it again: {words}"
    return words


def _violations(operation: Operation[object], body: ErrorBody) -> tuple[FieldViolation, ...]:
    return tuple(
        FieldViolation(_proto_path(operation, error.pointer), error.text)
        for error in body.errors
        if error.pointer
    )


def _proto_path(operation: Operation[object], pointer: str) -> str:
    segments = [part for part in pointer.split("/") if part]
    if segments[:1] == ["body"]:
        del segments[0]
    if not segments:
        return ""
    segments[0] = operation.fields_by_rest_path.get(segments[0], segments[0])
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
