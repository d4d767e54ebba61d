"""Server reflection, in both of its versions, over every symbol that clients ask for.

grpcio brings the servicer, but of version `v1alpha` only, and over protobuf's descriptor pool,
which finds the file of every symbol except methods. Version `v1` has the same messages under
another package name (grpc-proto, "grpc/reflection/v1/reflection.proto"): one servicer serves both.
"""

from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection, reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer

from gateway.server.grpc.shell import Methods

V1ALPHA = reflection.SERVICE_NAME
V1 = V1ALPHA.replace(".v1alpha.", ".v1.")


def reflection_methods(service_names: Iterable[str]) -> Methods:
    """Return the methods of both versions; they list `service_names` and themselves."""
    servicer = ReflectionServicer((*service_names, V1, V1ALPHA), SymbolPool())
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return {name: {"ServerReflectionInfo": method} for name in (V1, V1ALPHA)}


class SymbolPool:
    """What the servicer asks of a descriptor pool, for every symbol there is.

    Looks in the process's own pool, and then in one that holds version `v1` of reflection itself.
    All methods raise KeyError for what is not there.
    """

    def __init__(self) -> None:
        v1 = DescriptorPool()
        v1.Add(_v1_file())
        self._pools: tuple[Any, ...] = (descriptor_pool.Default(), v1)

    def FindFileByName(self, name: str) -> Any:
        """Return a file."""
        return self._first("FindFileByName", name)

    def FindFileContainingSymbol(self, name: str) -> Any:
        """Return the file that declares a symbol: a type, field, value, service or method."""
        try:
            return self._first("FindFileContainingSymbol", name)
        except KeyError:
            service, _, method = name.rpartition(".")
            found = self._first("FindServiceByName", service)
            if method not in found.methods_by_name:
                raise
            return found.file

    def FindMessageTypeByName(self, name: str) -> Any:
        """Return a message type."""
        return self._first("FindMessageTypeByName", name)

    def FindExtensionByNumber(self, message: Any, number: int) -> Any:
        """Return the extension of a message type that has a number."""
        return self._first("FindExtensionByNumber", message, number)

    def FindAllExtensions(self, message: Any) -> Any:
        """Return all extensions of a message type."""
        return descriptor_pool.Default().FindAllExtensions(message)

    def _first(self, method: str, *arguments: Any) -> Any:
        for pool in self._pools[:-1]:
            try:
                return getattr(pool, method)(*arguments)
            except KeyError:
                continue
        return getattr(self._pools[-1], method)(*arguments)


def _v1_file() -> FileDescriptorProto:
    file = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(file)
    file.name, file.package = "grpc/reflection/v1/reflection.proto", _v1(file.package)
    file.ClearField("options")  # names of other languages' packages, for v1alpha
    for message in file.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = _v1(field.type_name)
    for service in file.service:
        for method in service.method:
            method.input_type = _v1(method.input_type)
            method.output_type = _v1(method.output_type)
    return file


def _v1(text: str) -> str:
    return text.replace("v1alpha", "v1")
