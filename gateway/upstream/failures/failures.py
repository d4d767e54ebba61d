"""Failures: what the provider answered, or that it did not, as GatewayError.

What a refusal means is in `meanings`; here is what depends on whether the command may have run.
"""

from typing import Any, NamedTuple

from grpc import StatusCode

from gateway.errors import FieldViolation, GatewayError, shortened
from gateway.upstream.failures.errorbody import ErrorBody, ProviderError
from gateway.upstream.failures.meanings import Outcome, decisive, meaning_of
from gateway.upstream.operation import NotAnAnswerError, Operation, RestCall, Safety
from gateway.upstream.sending.attempt import (
    PASSING_STATUSES,
    TOO_MANY_REQUESTS,
    History,
    is_harmless_for_the_caller,
)
from gateway.upstream.transport import (
    HttpResponse,
    OverloadedError,
    OversizeError,
    TransportError,
)

REPEATABLE_FAILURE = Outcome(StatusCode.UNAVAILABLE, "UPSTREAM_UNAVAILABLE")
UNKNOWN_FAILURE = Outcome(StatusCode.UNKNOWN, "OUTCOME_UNKNOWN")
CREDENTIALS_REJECTED = "UPSTREAM_CREDENTIALS_REJECTED"
TOO_LATE = Outcome(StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
SHUTTING_DOWN = Outcome(StatusCode.UNAVAILABLE, "GATEWAY_SHUTTING_DOWN")
OVERLOADED = Outcome(StatusCode.RESOURCE_EXHAUSTED, "GATEWAY_OVERLOADED")
UNREADABLE_ANSWER = Outcome(StatusCode.INTERNAL, "UPSTREAM_UNREADABLE_ANSWER")

# Failures that a caller may answer by calling again, and is told when the provider says so.
_ASK_AGAIN = frozenset({StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED, StatusCode.ABORTED})

# The status that an error in a successful answer is read with: its code alone says what it means.
SUCCESS = 200

# When to come back to a gateway whose queue is full, in seconds: the queue is about a second long.
OVERLOAD_RETRY_S = 1.0


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
        if self.call.command_id and self.history.remembered_s <= 0:
            return False
        return is_harmless_for_the_caller(self.call, self.operation.safety)

    def metadata(self, **more: str) -> dict[str, str]:
        """Return what every error of the call has in its ErrorInfo."""
        outcome = "" if self.history.attempts else "not_sent"
        if self.history.may_have_run and self.operation.safety is not Safety.READ:
            outcome = "unknown"
        return {
            "method": self.operation.name,
            "command_id": self.call.command_id,
            "attempts": str(self.history.attempts),
            **({"outcome": outcome} if outcome else {}),
            **more,
        }


def failure_of_answer(failed: FailedCall, response: HttpResponse) -> GatewayError:
    """Return the error for an answer outside 2xx."""
    operation = failed.operation
    body = ErrorBody.read(response.body)
    first = decisive(body.errors)
    outcome = _outcome(failed, response.status, first)
    words = first.text or "the provider gave no reason"
    metadata = failed.metadata(
        http_status=str(response.status),
        provider_code=first.code,
        provider_pointer=first.pointer,
    )
    resource = None
    if outcome.code is StatusCode.NOT_FOUND:
        resource = operation.missing(failed.request, first)
    return GatewayError(
        outcome.code,
        outcome.reason,
        f"{operation.name}: {_explained(outcome, failed, shortened(words))}",
        metadata,
        _violations(outcome, failed, body),
        resource,
        failed.history.retry_after_s if outcome.code in _ASK_AGAIN else None,
        first.help_url,
        response.headers.get("x-request-id", ""),
    )


def not_an_answer(failed: FailedCall, instead: NotAnAnswerError) -> GatewayError:
    """Return the error for a 2xx that is not the provider's word on the request.

    Nobody knows what became of a command then. A query that was answered with an error has failed
    by it; anything else may be another time.
    """
    operation, errors = failed.operation, instead.errors
    first = decisive(errors.errors)
    failed.history.may_have_run = True
    words = f"a success came with {instead.what} instead of a response"
    if first.text:
        words += f": {shortened(first.text)}"
    outcome = REPEATABLE_FAILURE if failed.is_harmless else UNKNOWN_FAILURE
    resource = None
    if errors.errors and operation.safety is Safety.READ:
        outcome = meaning_of(SUCCESS, first)
        if outcome.code is StatusCode.NOT_FOUND:
            resource = operation.missing(failed.request, first)
    return GatewayError(
        outcome.code,
        outcome.reason,
        f"{operation.name}: {_explained(outcome, failed, words)}",
        failed.metadata(provider_code=first.code, provider_pointer=first.pointer),
        _violations(outcome, failed, errors),
        resource,
        help_url=first.help_url,
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
    text = f"{words} within the call's deadline"
    if failed.history.may_have_run and failed.operation.safety is not Safety.READ:
        text += f"; {_after_an_unknown_end(failed)}"
    return _named(TOO_LATE, f"{failed.operation.name}: {text}", failed.metadata())


def cut_off(failed: FailedCall) -> GatewayError:
    """Return the error for a call that a shutdown of the gateway ends before its answer."""
    outcome = SHUTTING_DOWN if failed.is_harmless else UNKNOWN_FAILURE
    words = "the gateway was shut down before the provider's answer"
    text = f"{failed.operation.name}: {_explained(outcome, failed, words)}"
    return _named(outcome, text, failed.metadata())


def unreadable_answer(failed: FailedCall, why: str) -> GatewayError:
    """Return the error for a 2xx answer that cannot be read: the command did run."""
    done = {} if failed.operation.safety is Safety.READ else {"outcome": "done"}
    text = f"{failed.operation.name}: the provider's answer cannot be read: {why}"
    return _named(UNREADABLE_ANSWER, text, failed.metadata(**done))


def _outcome(failed: FailedCall, status: int, error: ProviderError) -> Outcome:
    if status in PASSING_STATUSES or status >= 500:
        return REPEATABLE_FAILURE if failed.is_harmless else UNKNOWN_FAILURE
    if status == TOO_MANY_REQUESTS and not failed.is_harmless:
        # Refused now, but an attempt before may have run: calling again might run it twice.
        return UNKNOWN_FAILURE
    return meaning_of(status, error)


def _explained(outcome: Outcome, failed: FailedCall, words: str) -> str:
    if outcome.reason == CREDENTIALS_REJECTED:
        # The provider's words name the key, which is none of the caller's business.
        return (
            "the provider rejects the gateway's API key; whoever runs the gateway finds the reason"
            " in its log and has to replace TELNYX_API_KEY"
        )
    if outcome is REPEATABLE_FAILURE:
        return f"the provider cannot do it now, call again, nothing can happen twice: {words}"
    if outcome is SHUTTING_DOWN:
        return f"call again, nothing can happen twice: {words}"
    if outcome is UNKNOWN_FAILURE:
        return f"{_after_an_unknown_end(failed)}: {words}"
    return words


def _after_an_unknown_end(failed: FailedCall) -> str:
    """Say what the caller of a command that may have run can do."""
    call, remembered_s = failed.call, failed.history.remembered_s
    if call.command_id and remembered_s > 0:
        return (
            f"it may have run; to be sure, call again within {remembered_s:.0f} s with"
            f" command_id {call.command_id}"
        )
    if failed.is_harmless:
        return "it may have run; calling again can do no harm"
    return "it may have run, and calling again would run it again"


def _violations(
    outcome: Outcome, failed: FailedCall, body: ErrorBody
) -> tuple[FieldViolation, ...]:
    """Return what the provider points at in the request, whatever kind of failure it is."""
    if outcome.reason == CREDENTIALS_REJECTED:
        return ()  # it points at the key
    return tuple(
        FieldViolation(
            failed.operation.field_at(error.pointer, failed.request) if error.pointer else "",
            f"header {error.header}: {error.text}" if error.header else error.text,
        )
        for error in body.errors
        if error.pointer or error.header
    )


def _named(outcome: Outcome, text: str, metadata: dict[str, str]) -> GatewayError:
    return GatewayError(outcome.code, outcome.reason, text, metadata)
