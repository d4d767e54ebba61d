"""Reports: the errors that callers of failed calls get.

What a refusal means is in `refusals`, what may have happened in `ends`; here are the words.
"""

from gateway.details import FieldViolation, shortened
from gateway.upstream.calls import UpstreamCall
from gateway.upstream.ends import End, end_of_error, end_of_status, reason_of
from gateway.upstream.envelope import NotAResponseError
from gateway.upstream.errors import Reason, UpstreamError
from gateway.upstream.failures.errorbody import ErrorBody
from gateway.upstream.failures.refusals import decisive, meaning_of
from gateway.upstream.transport import HttpResponse, TransportError

# Failures after which a caller may retry, and is told when if the provider says so.
_RETRIABLE = frozenset({Reason.UPSTREAM_UNAVAILABLE, Reason.RATE_LIMITED, Reason.CONFLICT})

# The status that an error in a successful response is read with: its code alone says what it means.
SUCCESS = 200

# When to retry at a gateway whose queue is full, in seconds: the queue is about a second long.
OVERLOAD_RETRY_S = 1.0


def refused(call: UpstreamCall, response: HttpResponse) -> UpstreamError:
    """Return the error for a response outside 2xx."""
    end, body = end_of_status(response.status), ErrorBody.read(response.body)
    first = decisive(body.errors)
    reason = _reason(call, end) or meaning_of(response.status, first)
    words = first.text or "the provider gave no reason"
    return UpstreamError(
        reason,
        _explained(call, reason, shortened(words)),
        call.metadata(
            end,
            http_status=str(response.status),
            provider_code=first.code,
            provider_pointer=first.pointer,
            provider_request_id=response.headers.get("x-request-id", ""),
        ),
        _violations(call, reason, body),
        call.operation.missing(call.request, first) if reason is Reason.NOT_FOUND else None,
        call.retry_after_s if reason in _RETRIABLE else None,
        first.help_url,
    )


def not_a_response(call: UpstreamCall, instead: NotAResponseError) -> UpstreamError:
    """Return the error for a 2xx that is not the provider's word on the request.

    Nobody knows then what became of a command. A query whose response is an error has failed
    by it; anything else may pass.
    """
    errors = instead.errors
    first = decisive(errors.errors)
    end = End.ERROR_IN_SUCCESS if errors.errors else End.NO_RESPONSE
    call.note(end)
    words = f"a 2xx with {instead.what} instead of the provider's response"
    if first.text:
        words += f": {shortened(first.text)}"
    reason = _reason(call, end) or meaning_of(SUCCESS, first)
    return UpstreamError(
        reason,
        _explained(call, reason, words),
        call.metadata(end, provider_code=first.code, provider_pointer=first.pointer),
        _violations(call, reason, errors),
        call.operation.missing(call.request, first) if reason is Reason.NOT_FOUND else None,
        help_url=first.help_url,
    )


def unanswered(call: UpstreamCall, error: TransportError) -> UpstreamError:
    """Return the error for a call whose last request got no response."""
    end = end_of_error(error)
    reason = _without_response(call, end)
    if reason is Reason.GATEWAY_OVERLOADED:
        words = f"{error}; retry later, or run more gateways"
        return _error(call, end, words, retry_after=OVERLOAD_RETRY_S)
    return _error(call, end, str(error))


def too_late(call: UpstreamCall, words: str) -> UpstreamError:
    """Return the error for a call whose deadline has passed, or is too near to send anything."""
    text = f"{words} within the call's deadline"
    if call.may_have_changed:
        text += f"; {_after_an_unknown_end(call)}"
    return _error(call, End.TOO_LATE, text)


def cut_off(call: UpstreamCall) -> UpstreamError:
    """Return the error for a call that a shutdown of the gateway ends before its response."""
    return _error(call, End.SHUT_DOWN, "the gateway shut down before the provider responded")


def unreadable(call: UpstreamCall, why: str) -> UpstreamError:
    """Return the error for a 2xx response that cannot be decoded: the command did run."""
    return _error(call, End.UNREADABLE, f"the provider's response cannot be decoded: {why}")


def _error(
    call: UpstreamCall, end: End, words: str, retry_after: float | None = None
) -> UpstreamError:
    reason = _without_response(call, end)
    text = _explained(call, reason, words)
    return UpstreamError(reason, text, call.metadata(end), retry_after=retry_after)


def _reason(call: UpstreamCall, end: End) -> Reason | None:
    return reason_of(end, call.operation.safety, is_harmless=call.is_harmless)


def _without_response(call: UpstreamCall, end: End) -> Reason:
    reason = _reason(call, end)
    assert reason is not None, f"{end} has words of the provider's"
    return reason


def _explained(call: UpstreamCall, reason: Reason, words: str) -> str:
    match reason:
        case Reason.UPSTREAM_CREDENTIALS_REJECTED:
            # The provider's words name the key, which is none of the caller's business.
            words = (
                "the provider rejects the gateway's API key; the gateway's operator must replace"
                " TELNYX_API_KEY (its log has the reason)"
            )
        case Reason.UPSTREAM_UNAVAILABLE:
            words = f"the provider is unavailable; retry, nothing can happen twice: {words}"
        case Reason.GATEWAY_SHUTTING_DOWN:
            words = f"retry, nothing can happen twice: {words}"
        case Reason.OUTCOME_UNKNOWN:
            words = f"{_after_an_unknown_end(call)}: {words}"
    return f"{call.operation.name}: {words}"


def _after_an_unknown_end(call: UpstreamCall) -> str:
    """Say what the caller of a command that may have run can do."""
    command_id, remembered_s = call.rest.command_id, call.remembered_s
    if command_id and remembered_s > 0:
        return (
            f"it may have run; to be sure, retry within {remembered_s:.0f} s with"
            f" command_id {command_id}"
        )
    if call.is_harmless:
        return "it may have run; a retry is harmless"
    return "it may have run, and a retry would run it again"


def _violations(call: UpstreamCall, reason: Reason, body: ErrorBody) -> tuple[FieldViolation, ...]:
    """Return what the provider points at in the request, whatever kind of failure it is."""
    if reason is Reason.UPSTREAM_CREDENTIALS_REJECTED:
        return ()  # it points at the key
    return tuple(
        FieldViolation(
            call.operation.field_at(error.pointer, call.request) if error.pointer else "",
            f"header {error.header}: {error.text}" if error.header else error.text,
        )
        for error in body.errors
        if error.pointer or error.header
    )
