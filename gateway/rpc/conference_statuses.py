"""What a caller is told when a conference cannot be watched."""

from grpc import StatusCode

from gateway.conference.errors import ConferenceError, TooBusyError
from gateway.errors import GatewayError

# When to watch again after a refusal, in seconds: half of those who wait ten have been served.
WATCH_RETRY_S = 5.0


def gateway_error(error: ConferenceError) -> GatewayError:
    """Return the error of an RPC that fails by this one."""
    if isinstance(error, TooBusyError):
        return GatewayError(
            StatusCode.RESOURCE_EXHAUSTED,
            "GATEWAY_OVERLOADED",
            f"so many conferences are asked for that {error}: watch again a little later, or see"
            " GATEWAY_WATCH_REQUESTS",
            retry_after=WATCH_RETRY_S,
        )
    return GatewayError(StatusCode.INTERNAL, "UPSTREAM_UNREADABLE_ANSWER", str(error))
