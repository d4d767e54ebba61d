"""The event service: its methods found by the names in the proto."""

import re
from collections.abc import Callable

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gateway.details import FieldViolation
from gateway.server.errors import invalid_argument
from gateway.server.grpc.shell import Handler, MethodHandler, Shell
from gateway.server.services.filters import FILTER_BYTES_MAX

# How long a request may be, in bytes: the longest filter, and room for the rest. Unlike the 1 MiB
# that gRPC lets through, it is held for as long as a stream is open.
REQUEST_BYTES_MAX = FILTER_BYTES_MAX + 16 * 1024

_WORD_START = re.compile(r"(?<!^)(?=[A-Z])")


class MissingMethodError(Exception):
    """No object serves a method of a service; the text names the method."""


def event_methods(
    service: ServiceDescriptor, parts: tuple[object, ...], shell: Shell
) -> dict[str, MethodHandler]:
    """Return the handlers of a service whose methods several objects serve, by their names.

    `ListEvents` is served by whichever of `parts` has `list_events`. Responses are bytes that
    are already encoded. Raises MissingMethodError.
    """
    handlers: dict[str, MethodHandler] = {}
    for method in service.methods:
        path = f"/{service.full_name}/{method.name}"
        read = _bounded(GetMessageClass(method.input_type).FromString)
        handler = _handler(method.full_name, method.name, parts)
        if method.server_streaming:
            handlers[method.name] = shell.stream(path, read, handler)
        else:
            changes_nothing = method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
            handlers[method.name] = shell.unary(path, read, handler, is_search=changes_nothing)
    return handlers


def _bounded(read: Callable[[bytes], Message]) -> Callable[[bytes], Message]:
    """Return a function that reads messages, but none that is too large."""

    def read_bounded(data: bytes) -> Message:
        if len(data) > REQUEST_BYTES_MAX:
            text = f"the request takes {len(data)} bytes, at most {REQUEST_BYTES_MAX} are allowed"
            raise invalid_argument([FieldViolation("", text)])
        return read(data)

    return read_bounded


def _handler(full_name: str, name: str, parts: tuple[object, ...]) -> Handler:
    attribute = _WORD_START.sub("_", name).lower()
    for part in parts:
        handler: Handler | None = getattr(part, attribute, None)
        if handler is not None:
            return handler
    raise MissingMethodError(f"nothing serves {full_name}: no part has a method {attribute}")
