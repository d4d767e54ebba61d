"""The statuses of calls to the provider that failed: one gRPC code for each reason."""

from collections.abc import Mapping

from grpc import StatusCode

from gateway.server.errors import GatewayError
from gateway.upstream.errors import Reason, UpstreamError

CODES: Mapping[Reason, StatusCode] = {
    Reason.INVALID_REQUEST: StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_ID: StatusCode.INVALID_ARGUMENT,
    Reason.MISSING_PARAMETER: StatusCode.INVALID_ARGUMENT,
    Reason.NOT_FOUND: StatusCode.NOT_FOUND,
    Reason.DUPLICATE: StatusCode.ALREADY_EXISTS,
    Reason.IN_USE: StatusCode.FAILED_PRECONDITION,
    Reason.INVALID_STATE: StatusCode.FAILED_PRECONDITION,
    Reason.PAYMENT_REQUIRED: StatusCode.FAILED_PRECONDITION,
    Reason.NOT_AUTHORIZED: StatusCode.PERMISSION_DENIED,
    Reason.CONFLICT: StatusCode.ABORTED,
    Reason.RATE_LIMITED: StatusCode.RESOURCE_EXHAUSTED,
    # The gateway's own key: the caller is not at fault, and a retry would not help.
    Reason.UPSTREAM_CREDENTIALS_REJECTED: StatusCode.INTERNAL,
    Reason.UPSTREAM_UNEXPECTED_STATUS: StatusCode.INTERNAL,
    Reason.UPSTREAM_UNREADABLE_RESPONSE: StatusCode.INTERNAL,
    # Retry policies of clients send these again by themselves, so nothing that may have run and
    # would run a second time is ever among them.
    Reason.UPSTREAM_UNAVAILABLE: StatusCode.UNAVAILABLE,
    Reason.GATEWAY_SHUTTING_DOWN: StatusCode.UNAVAILABLE,
    Reason.OUTCOME_UNKNOWN: StatusCode.UNKNOWN,
    Reason.DEADLINE_EXCEEDED: StatusCode.DEADLINE_EXCEEDED,
    Reason.GATEWAY_OVERLOADED: StatusCode.RESOURCE_EXHAUSTED,
}


def gateway_error(error: UpstreamError) -> GatewayError:
    """Return the error of the RPC whose call to the provider failed so."""
    return GatewayError(
        CODES[error.reason],
        error.reason.name,
        error.message,
        metadata=error.metadata,
        violations=error.violations,
        resource=error.resource,
        retry_after=error.retry_after,
        help_url=error.help_url,
        # All else is the provider's word, or what became of a request.
        refusal="NO_ROOM_UPSTREAM" if error.reason is Reason.GATEWAY_OVERLOADED else "",
    )
