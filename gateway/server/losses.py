"""Events that are lost, as the error of a stream that must not go on over them."""

from grpc import StatusCode

from gateway.feed.errors import EventsLostError
from gateway.server.errors import GatewayError


def lost(error: EventsLostError, way_on: str) -> GatewayError:
    """Return the error. `way_on` says what the caller can do, in the terms of the RPC."""
    loss = error.loss
    missed = {} if loss.missed is None else {"missed_events": str(loss.missed)}
    return GatewayError(
        StatusCode.OUT_OF_RANGE,
        loss.reason.name,
        f"cannot continue after this cursor: {loss.reason.value}; {way_on}",
        {"oldest_cursor": error.oldest_cursor, "newest_cursor": error.newest_cursor, **missed},
    )
