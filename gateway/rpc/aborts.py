"""How a call is ended with an error: what gRPC is given."""

from typing import Any

import grpc
from grpc_status import rpc_status

from gateway.errors import GatewayError, status_of


def abort_arguments(error: GatewayError) -> tuple[grpc.StatusCode, str, tuple[Any, ...]]:
    """Return the arguments of `ServicerContext.abort` for an error."""
    status = rpc_status.to_status(status_of(error))
    metadata = tuple(status.trailing_metadata)
    if error.retry_after is not None:
        # Tells gRPC's own retries how long to wait (gRFC A6, "pushback").
        metadata += (("grpc-retry-pushback-ms", str(round(error.retry_after * 1_000))),)
    return status.code, status.details, metadata
