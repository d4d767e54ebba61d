"""The one error type that RPCs fail with, and its one mapping to `google.rpc.Status`.

The RPC face makes GatewayErrors of the errors of the rooms below it and turns them into statuses in
one place. Whatever else arrives there is a fault of the gateway.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc import StatusCode

from gateway.details import FieldViolation, Resource, shortened

# ErrorInfo.domain: who coined the reasons.
DOMAIN = "telnyx-grpc-gateway"

# Trailers above 8 KiB turn any error into RESOURCE_EXHAUSTED in common clients (grpc/grpc#37852);
# base64 adds a third to the details and the message is sent twice.
MESSAGE_BYTES_MAX = 1_000
DETAILS_BYTES_MAX = 4_000
# Violations that the message names; the details name them all.
_VIOLATIONS_IN_MESSAGE = 5


# Not frozen: the interpreter and contextlib assign an exception's traceback.
@dataclass(eq=False)
class GatewayError(Exception):
    """A reason why an RPC fails, in full.

    `reason` names the cause for programs (UPPER_SNAKE, stable), `message` tells people what was
    wrong, where, and what to do. `metadata` goes into ErrorInfo; keys are lower_snake.
    """

    code: StatusCode
    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[FieldViolation, ...] = ()
    resource: Resource | None = None
    # Seconds after which a retry makes sense, where the provider or the gateway knows.
    retry_after: float | None = None
    help_url: str = ""
    # Which bound or rule of the gateway's the call met, for logs and metrics (see `Refused.kind`);
    # empty where the gateway itself has refused nothing.
    refusal: str = ""
    # The limit of its caller that the call met, by its name in the callers file; else empty.
    limit: str = ""

    def __str__(self) -> str:
        return f"{self.code.name} {self.reason}: {self.message}"


def invalid_argument(
    violations: Iterable[FieldViolation], refusal: str = "INVALID_REQUEST"
) -> GatewayError:
    """Return the error for a request with these faults; there must be at least one."""
    found = tuple(violations)
    listed = "; ".join(
        f"{it.field}: {it.description}" if it.field else it.description
        for it in found[:_VIOLATIONS_IN_MESSAGE]
    )
    rest = len(found) - _VIOLATIONS_IN_MESSAGE
    text = listed if rest <= 0 else f"{listed}; and {rest} more, see the details"
    return GatewayError(
        StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", text, {}, found, refusal=refusal
    )


def status_of(error: GatewayError, request_id: str = "") -> status_pb2.Status:
    """Return the status that tells a client everything the error says, within what trailers hold.

    `request_id` is that of the call, empty if it has none. The order of the details is fixed:
    ErrorInfo, then whichever of BadRequest, ResourceInfo, RetryInfo, RequestInfo and Help apply.
    Violations that do not fit are counted in the last one.
    """
    status = status_pb2.Status(
        code=_number(error.code), message=shortened(error.message, MESSAGE_BYTES_MAX)
    )
    info = error_details_pb2.ErrorInfo(
        reason=error.reason,
        domain=DOMAIN,
        metadata={key: shortened(value) for key, value in error.metadata.items() if value},
    )
    _attach(status, info)
    if error.resource is not None:
        _attach(
            status,
            error_details_pb2.ResourceInfo(
                resource_type=error.resource.type,
                resource_name=shortened(error.resource.name),
                description=shortened(error.message),
            ),
        )
    if error.retry_after is not None:
        delay = Duration()
        delay.FromMilliseconds(max(0, round(error.retry_after * 1_000)))
        _attach(status, error_details_pb2.RetryInfo(retry_delay=delay))
    if request_id:
        _attach(status, error_details_pb2.RequestInfo(request_id=request_id))
    if error.help_url:
        link = error_details_pb2.Help.Link(
            description="The provider's page about this error", url=shortened(error.help_url)
        )
        _attach(status, error_details_pb2.Help(links=[link]))
    if error.violations:
        room = DETAILS_BYTES_MAX - sum(detail.ByteSize() for detail in status.details)
        _attach(status, _bad_request(error.violations, room), position=1)
    return status


def _bad_request(
    violations: tuple[FieldViolation, ...], bytes_max: int
) -> error_details_pb2.BadRequest:
    result = error_details_pb2.BadRequest()
    # Room for the type URL of the packed detail and for a last entry that counts the rest.
    left = bytes_max - 200
    for index, violation in enumerate(violations):
        entry = error_details_pb2.BadRequest.FieldViolation(
            field=shortened(violation.field), description=shortened(violation.description)
        )
        left -= entry.ByteSize() + 4
        if left < 0:
            result.field_violations.add(
                description=f"{len(violations) - index} more violations are not listed"
            )
            break
        result.field_violations.append(entry)
    return result


def _attach(status: status_pb2.Status, detail: Message, position: int | None = None) -> None:
    packed = PackedAny()
    packed.Pack(detail)
    details = status.details
    details.insert(len(details) if position is None else position, packed)


def _number(code: StatusCode) -> int:
    return int(code_pb2.Code.Value(code.name))
