"""The statuses of calls that ask for something outside of what their caller is bound to."""

from grpc import StatusCode

from gateway.callers.refusals import (
    CallNotTiedError,
    ConnectionNotNamedError,
    NoSuchConferenceError,
    OutOfBoundsError,
    QueueNotGrantedError,
    TooManyCallsError,
)
from gateway.details import FieldViolation, Resource
from gateway.server.errors import GatewayError, invalid_argument


def out_of_bounds(error: OutOfBoundsError, method: str) -> GatewayError:
    """Return the error that the caller of a method gets."""
    match error:
        case NoSuchConferenceError():
            # The same for one that does not exist: not even the provider's words are in it.
            return GatewayError(
                StatusCode.NOT_FOUND,
                "NOT_FOUND",
                "there is no conference with this id",
                resource=Resource("conference", error.conference_id),
            )
        case CallNotTiedError():
            return GatewayError(
                StatusCode.PERMISSION_DENIED,
                "CALL_NOT_TIED",
                f"{error.field}: no event in the log ties this call to a connection that the caller"
                " is bound to; retry when an event of the call has arrived, or add its connection"
                " to `connections` of the caller in the callers file",
                violations=(FieldViolation(error.field, "is not a call of the caller's"),),
                refusal="CALL_NOT_TIED",
            )
        case QueueNotGrantedError():
            what = "this queue" if error.name else "queues"
            return GatewayError(
                StatusCode.PERMISSION_DENIED,
                "QUEUE_NOT_GRANTED",
                f"the caller may not use {what}: list the names of its queues as `queues` of the"
                " caller in the callers file",
                refusal="QUEUE_NOT_GRANTED",
            )
        case ConnectionNotNamedError():
            text = "must be a connection that the caller is bound to, as it may see no other"
            return invalid_argument([FieldViolation(error.field, text)])
        case TooManyCallsError():
            text = f"names {error.count} calls, at most {error.count_max} are allowed"
            return invalid_argument([FieldViolation("", text)])
    return GatewayError(
        StatusCode.PERMISSION_DENIED,
        "METHOD_NOT_SCOPED",
        f"nothing says whose things {method.rpartition('/')[2]} is about, so that no caller that is"
        " bound may call it; use a caller that is not bound",
        refusal="METHOD_NOT_SCOPED",
    )
