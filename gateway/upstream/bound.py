"""Bound operations: those that the protos declare, as the client calls them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from gateway.details import Resource
from gateway.schema.binding import Binding, compile_services
from gateway.schema.rest import RestRequest, Safety
from gateway.upstream import envelope
from gateway.upstream.failures.errorbody import ProviderError
from gateway.upstream.failures.resources import Resources
from gateway.upstream.transport import HttpResponse


@dataclass(frozen=True, slots=True)
class BoundOperation:
    """One RPC as an operation of the provider's; see `Operation`."""

    binding: Binding
    name: str
    safety: Safety
    _resources: Resources

    @classmethod
    def of(cls, binding: Binding) -> "BoundOperation":
        """Return the operation of a binding."""
        resources = Resources(binding.request_class, binding.path.fields)
        return cls(binding, binding.name, binding.safety, resources)

    @classmethod
    def compile(cls, method: MethodDescriptor) -> "BoundOperation":
        """Compile a method's descriptor. Raises BindingError."""
        return cls.of(Binding.compile(method))

    def prepare(self, request: Any) -> RestRequest:
        """See `Binding.prepare`."""
        return self.binding.prepare(request)

    def check(self, response: HttpResponse) -> None:
        """See `Operation.check`."""
        envelope.check(response, expects_body=self.binding.expects_body)

    def finish(self, rest: RestRequest, body: bytes) -> Message:
        """Return the RPC's response for the provider's 2xx response; see `Operation.finish`."""
        document = envelope.document_of(body, expects_body=self.binding.expects_body)
        return self.binding.decode(rest, document)

    def field_at(self, pointer: str, request: Any) -> str:
        """See `Binding.field_at`."""
        return self.binding.field_at(pointer, request)

    def missing(self, request: Any, error: ProviderError) -> Resource | None:
        """See `Operation.missing`."""
        field = self.binding.field_at(error.pointer, request)
        return self._resources.missing(request, error, field)


def operations_of(services: Iterable[ServiceDescriptor]) -> tuple[BoundOperation, ...]:
    """Compile all methods of the command services. Raises BindingError for the first bad one."""
    return tuple(BoundOperation.of(binding) for binding in compile_services(services))


def command_requests(operations: Iterable[BoundOperation]) -> Iterable[type[Message]]:
    """Return the types of the requests of those operations that change something."""
    return (it.binding.request_class for it in operations if it.safety is not Safety.READ)
