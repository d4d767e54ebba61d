"""What an RPC failed with, read out of a status and its details."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import grpc
from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status


@dataclass(frozen=True, slots=True)
class FieldFault:
    """A field of the request that is invalid: its proto path, empty for all of it, and why."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class CallError:
    """A failed RPC: docs/errors.md says what each part means.

    `reason` is empty for a status that does not come from the gateway but from a gRPC library, on
    either side. `retry_after_s` is None if nothing says when to retry.
    """

    code: grpc.StatusCode
    message: str
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[FieldFault, ...] = ()
    resource: tuple[str, str] | None = None
    retry_after_s: float | None = None
    request_id: str = ""
    help_urls: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        """What became of a command: `not_sent`, `unknown` or `done`; empty if nothing happened."""
        return self.metadata.get("outcome", "")

    @property
    def command_id(self) -> str:
        """The id that a command ran under, or would have; empty if it has none."""
        return self.metadata.get("command_id", "")


M = TypeVar("M", bound=Message)


def of(error: grpc.RpcError) -> CallError:
    """Return what an RPC failed with. Details that somebody on the way has damaged are left out."""
    found: dict[str, object] = {}
    for packed in _details(error):
        if (info := _unpacked(packed, error_details_pb2.ErrorInfo())) is not None:
            found |= {"reason": info.reason, "metadata": dict(info.metadata)}
        elif (request := _unpacked(packed, error_details_pb2.BadRequest())) is not None:
            found["faults"] = tuple(
                FieldFault(it.field, it.description) for it in request.field_violations
            )
        elif (resource := _unpacked(packed, error_details_pb2.ResourceInfo())) is not None:
            found["resource"] = (resource.resource_type, resource.resource_name)
        elif (retry := _unpacked(packed, error_details_pb2.RetryInfo())) is not None:
            found["retry_after_s"] = retry.retry_delay.ToTimedelta().total_seconds()
        elif (named := _unpacked(packed, error_details_pb2.RequestInfo())) is not None:
            found["request_id"] = named.request_id
        elif (help_ := _unpacked(packed, error_details_pb2.Help())) is not None:
            found["help_urls"] = tuple(link.url for link in help_.links)
    return CallError(error.code(), error.details() or "", **found)  # type: ignore[arg-type]


def _details(error: grpc.RpcError) -> Sequence[PackedAny]:
    try:
        status: status_pb2.Status | None = rpc_status.from_call(error)
    except (ValueError, DecodeError):
        return ()
    return () if status is None else status.details


def _unpacked(packed: PackedAny, kind: M) -> M | None:
    try:
        return kind if packed.Unpack(kind) else None
    except DecodeError:
        return None
