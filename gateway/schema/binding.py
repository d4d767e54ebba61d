"""Bindings: each RPC of the command services compiled into its REST requests and responses.

The descriptor says everything: path and method (`google.api.http`), safety (`idempotency_level`),
required fields (`google.api.field_behavior`) and the exceptions of `rest.proto`. A method that
cannot be bound is refused with its name and the reason when the gateway starts.
"""

import uuid
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from operator import attrgetter, methodcaller
from typing import Any

import orjson
from google.api import annotations_pb2, field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from conferencing.v1.common_pb2 import CommandReceipt
from gateway.details import FieldViolation
from gateway.schema.descriptors import fields_of
from gateway.schema.encoder import MessageEncoder
from gateway.schema.invalid import InvalidRequestError
from gateway.schema.pages import PageError, RequestedPage
from gateway.schema.path import URL_BYTES_MAX, PathError, PathTemplate, no_segment
from gateway.schema.pointers import Pointers
from gateway.schema.query import query_parameters, query_string
from gateway.schema.response import ResponseDecoder, ResponseShapeError
from gateway.schema.rest import RestRequest, Safety


class BindingError(Exception):
    """A method of the protos cannot be bound to REST; the text names it and says why."""

    def __init__(self, method: str, reason: str) -> None:
        super().__init__(f"cannot bind {method}: {reason}")


_SAFETY = {
    MethodOptions.NO_SIDE_EFFECTS: Safety.READ,
    MethodOptions.IDEMPOTENT: Safety.IDEMPOTENT,
    MethodOptions.IDEMPOTENCY_UNKNOWN: Safety.ONCE,
}


@dataclass(frozen=True, slots=True)
class Binding:
    """One RPC as a REST operation."""

    name: str
    full_name: str
    http_method: str
    path: PathTemplate
    safety: Safety
    request_class: type[Message]
    response_class: type[Message]
    # Whether the provider knows a `command_id` for it.
    has_command_id: bool
    # The fields that are segments of a path, be it the path of another operation.
    _ids: tuple[str, ...]
    # The names of required fields, and how to tell whether a request has them.
    _required: tuple[tuple[str, Callable[[Any], Any]], ...]
    _encoder: MessageEncoder
    _decoder: ResponseDecoder
    _pointers: Pointers
    _has_body: bool
    _is_paged: bool

    @property
    def rpc_path(self) -> str:
        """The path under which gRPC clients call it."""
        service, _, method = self.full_name.rpartition(".")
        return f"/{service}/{method}"

    @classmethod
    def compile(cls, method: MethodDescriptor) -> "Binding":
        """Compile a method's descriptor. Raises BindingError."""
        try:
            return _compile(method)
        except (ResponseShapeError, PathError, TypeError) as reason:
            raise BindingError(method.full_name, str(reason)) from None

    def checking(self, ids: Collection[str]) -> "Binding":
        """Return the same binding, which checks all fields of these names as segments of a path.

        They stand in the path of some operation, if not of this one: what is created under a name
        that fits into no path could never be found again.
        """
        names = (field.name for field in fields_of(self.request_class))
        return replace(self, _ids=tuple(name for name in names if name in ids))

    def prepare(self, request: Any) -> RestRequest:
        """Return the REST request for an RPC's request.

        Raises InvalidRequestError with every violation at once.
        """
        violations = [
            FieldViolation(name, "is required")
            for name, is_given in self._required
            if not is_given(request)
        ]
        for name in self._ids:
            reason = no_segment(getattr(request, name))
            if reason is not None:
                violations.append(FieldViolation(name, reason))
        values = self._encoder.encode(request, "", violations)
        page: RequestedPage | None = None
        if self._is_paged:
            try:
                page = RequestedPage.of(request)
            except PageError as error:
                violations.append(error.violation)
        if violations:
            raise InvalidRequestError(violations)
        return self._rest_request(request, values, page)

    def _rest_request(
        self, request: Any, values: dict[str, Any], page: RequestedPage | None
    ) -> RestRequest:
        path = self.path.render(request)
        for name in self.path.fields:
            del values[name]
        command_id = values.get("command_id", "")
        made = self.has_command_id and not command_id
        if made:
            command_id = values["command_id"] = str(uuid.uuid4())
        if self._has_body:
            body = orjson.dumps(values)
            return RestRequest(self.http_method, path, body, command_id, made, page)
        if page is not None:
            values.pop("page_size", None)
            values.pop("page_token", None)
        parameters = list(query_parameters(values))
        if page is not None:
            parameters += page.query()
        path += query_string(parameters)
        if len(path) > URL_BYTES_MAX:
            raise InvalidRequestError([self._too_long(request, path, parameters)])
        return RestRequest(self.http_method, path, None, command_id, made, page)

    def _too_long(
        self, request: Any, path: str, parameters: list[tuple[str, str]]
    ) -> FieldViolation:
        longest, _ = max(parameters, key=lambda it: len(query_string([it])))
        return FieldViolation(
            self._pointers.proto_path(longest, request),
            f"makes the request's URL {len(path)} bytes long, escapes included; the maximum is"
            f" {URL_BYTES_MAX}",
        )

    @property
    def expects_body(self) -> bool:
        """Whether the provider responds with a document, and not with nothing."""
        return self._decoder.expects_body

    def decode(self, rest: RestRequest, document: dict[str, Any]) -> Message:
        """Return the RPC's response for the JSON object of the provider's 2xx response.

        Whoever sent a command fills in the receipt's cursor. Raises MismatchError; see
        `ResponseDecoder.decode`.
        """
        receipt = None
        if self.safety is not Safety.READ:
            receipt = CommandReceipt(command_id=rest.command_id)
        return self._decoder.decode(document, receipt, rest.page)

    def field_at(self, pointer: str, request: Any) -> str:
        """Return the proto path of the field that a provider's pointer into a request means."""
        return self._pointers.proto_path(pointer, request)


def compile_services(services: Iterable[ServiceDescriptor]) -> tuple[Binding, ...]:
    """Compile all methods of the command services. Raises BindingError for the first bad one."""
    bindings = [Binding.compile(method) for service in services for method in service.methods]
    ids = {name for binding in bindings for name in binding.path.fields}
    return tuple(binding.checking(ids) for binding in bindings)


def _compile(method: MethodDescriptor) -> Binding:
    if method.client_streaming or method.server_streaming:
        raise TypeError("only unary methods can be bound")
    options = method.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        raise TypeError("it has no google.api.http option")
    rule = options.Extensions[annotations_pb2.http]
    http_method = str(rule.WhichOneof("pattern") or "").upper()
    if http_method not in ("GET", "POST", "PATCH", "PUT", "DELETE"):
        raise TypeError("its google.api.http option has no HTTP method")
    if rule.additional_bindings:
        raise TypeError("its google.api.http option has additional bindings")
    has_body = http_method in ("POST", "PATCH", "PUT")
    if rule.body != ("*" if has_body else ""):
        raise TypeError(f"{http_method} takes body {'*' if has_body else 'none'!r}")
    fields = method.input_type.fields_by_name
    path = PathTemplate.compile(getattr(rule, http_method.lower()))
    for name in path.fields:
        if name not in fields:
            raise TypeError(f"the path names {name!r}, which {method.input_type.name} lacks")
        if fields[name].type != FieldDescriptor.TYPE_STRING or not _is_required(fields[name]):
            raise TypeError(f"the path field {name!r} is not a required string")
    is_paged = "page_token" in fields
    safety = _SAFETY[options.idempotency_level]
    if (safety is Safety.READ) != (http_method == "GET"):
        raise TypeError(f"{http_method} requires another idempotency level than {safety.name}")
    response_class = GetMessageClass(method.output_type)
    return Binding(
        name=method.name,
        full_name=method.full_name,
        http_method=http_method,
        path=path,
        safety=safety,
        request_class=GetMessageClass(method.input_type),
        response_class=response_class,
        has_command_id="command_id" in fields,
        _decoder=ResponseDecoder(
            response_class,
            is_command=safety is not Safety.READ,
            # The provider responds to these with 204, unless the response has a resource.
            expects_body=http_method not in ("DELETE", "PATCH"),
        ),
        _ids=path.fields,
        _required=tuple(
            (field.name, _given_test(field))
            for field in method.input_type.fields
            if _is_required(field)
        ),
        _encoder=MessageEncoder(method.input_type),
        _pointers=Pointers(method.input_type, path.fields),
        _has_body=has_body,
        _is_paged=is_paged,
    )


def _is_required(field: FieldDescriptor) -> bool:
    behaviors = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return field_behavior_pb2.REQUIRED in behaviors


def _given_test(field: FieldDescriptor) -> Callable[[Any], Any]:
    if field.has_presence:
        return methodcaller("HasField", field.name)
    return attrgetter(field.name)
