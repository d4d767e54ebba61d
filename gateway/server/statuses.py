"""What each error means to a caller: the one table from errors of the rooms below to statuses."""

import logging

from grpc import StatusCode

from gateway.callers.errors import LimitExceededError, Unidentified, UnidentifiedError
from gateway.callers.refusals import OutOfBoundsError
from gateway.conference.errors import EndlessListError, TooBusyError
from gateway.journal.errors import LogBusyError, LogUnavailableError
from gateway.schema.invalid import InvalidRequestError
from gateway.server.bound_statuses import out_of_bounds
from gateway.server.errors import GatewayError, invalid_argument
from gateway.server.upstream_statuses import gateway_error
from gateway.upstream.errors import UpstreamError

_log = logging.getLogger(__name__)

# When to retry after a refusal because too many read the event log, in seconds: about half of
# those who waited have had their turn by then.
OVERLOAD_RETRY_S = 1.0

# When to watch a conference again after a refusal, in seconds: half of those who wait ten have been
# served.
WATCH_RETRY_S = 5.0

# What helps a caller who is not known, if it is more than the operator's to know.
_HOW_TO_BE_KNOWN = {
    Unidentified.CREDENTIALS_MISSING: ": send one of them (metadata `authorization: Bearer ...`)",
    Unidentified.TOKEN_EXPIRED: ": send one that is valid",
    Unidentified.KEYS_UNAVAILABLE: ": retry later",
}

# When to retry when the keys of a token's issuer are not known, in seconds: they are asked for
# again after that.
_KEYS_RETRY_S = 5.0


def error_of(error: Exception, method: str, request_id: str = "") -> GatewayError:
    """Return the error that the caller of a method gets.

    What it need not know is logged, with the call's id.
    """
    match error:
        case GatewayError():
            return error
        case InvalidRequestError():
            return invalid_argument(error.violations)
        case UpstreamError():
            return gateway_error(error)
        case UnidentifiedError():
            return _unidentified(error)
        case LimitExceededError():
            return GatewayError(
                StatusCode.RESOURCE_EXHAUSTED,
                "LIMIT_EXCEEDED",
                str(error),
                {"caller": error.caller, "limit": error.limit, "maximum": f"{error.most:g}"},
                retry_after=error.retry_s,
                refusal=f"CALLER_{error.limit.upper()}",
                limit=error.limit,
            )
        case LogBusyError():
            text = f"{error}; retry later"
            return GatewayError(
                StatusCode.RESOURCE_EXHAUSTED,
                "GATEWAY_OVERLOADED",
                text,
                retry_after=OVERLOAD_RETRY_S,
                refusal="TOO_MANY_SEARCHES",
            )
        case LogUnavailableError():
            return GatewayError(StatusCode.UNAVAILABLE, "LOG_UNAVAILABLE", str(error))
        case TooBusyError():
            return GatewayError(
                StatusCode.RESOURCE_EXHAUSTED,
                "GATEWAY_OVERLOADED",
                f"so many conferences are watched that {error}: retry later, or raise"
                " GATEWAY_WATCH_REQUESTS",
                retry_after=WATCH_RETRY_S,
                refusal="TOO_MANY_WATCHES",
            )
        case OutOfBoundsError():
            return out_of_bounds(error, method)
        case EndlessListError():
            return GatewayError(StatusCode.INTERNAL, "UPSTREAM_UNREADABLE_RESPONSE", str(error))
    # The text of an exception nobody foresaw may hold anything: it goes to the log.
    fields = {"request_id": request_id}
    _log.error("%s failed unexpectedly", method, exc_info=error, extra={"fields": fields})
    text = "the gateway failed unexpectedly; its log has the cause"
    return GatewayError(StatusCode.INTERNAL, "GATEWAY_FAILURE", text)


def _unidentified(error: UnidentifiedError) -> GatewayError:
    reason = error.why.name
    text = f"{error}{_HOW_TO_BE_KNOWN.get(error.why, '')}"
    if error.why is Unidentified.KEYS_UNAVAILABLE:
        # Not the caller's fault, which may be known in a moment.
        code, retry_after = StatusCode.UNAVAILABLE, _KEYS_RETRY_S
        return GatewayError(code, reason, text, retry_after=retry_after, refusal=reason)
    return GatewayError(StatusCode.UNAUTHENTICATED, reason, text, refusal=reason)
