"""What RPCs a gateway has, as it says itself by reflection."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FileDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import Default, DescriptorPool
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from conferencing.v1 import conference_service_pb2, event_service_pb2, queue_service_pb2

N = TypeVar("N")

# How long a gateway may take to describe itself, in seconds.
_REFLECTION_S = 10.0

# What a gateway without reflection, or one that does not show it to everybody, answers.
_NOT_SHOWN = frozenset(
    {
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
    }
)


class NameNotFoundError(ValueError):
    """There is nothing with a name, or too much; it says what there is."""


@dataclass(frozen=True, slots=True)
class Api:
    """The services of a gateway, and the types that they use.

    Names may be as short as they are unambiguous: `JoinConference`,
    `ConferenceService/JoinConference` or the full name; case does not count.
    """

    services: Sequence[ServiceDescriptor]

    @classmethod
    async def reflected(cls, channel: grpc.aio.Channel) -> "Api":
        """Ask the gateway; one that does not say is taken for one of this release.

        Raises grpc.aio.AioRpcError.
        """
        try:
            return await _asked(channel)
        except grpc.aio.AioRpcError as error:
            if error.code() in _NOT_SHOWN:
                return cls.of_this_release()
            raise

    @classmethod
    def of_this_release(cls) -> "Api":
        """Return the services that the gateway of this release has."""
        files = (conference_service_pb2, queue_service_pb2, event_service_pb2)
        return cls(
            [service for file in files for service in file.DESCRIPTOR.services_by_name.values()]
        )

    @property
    def methods(self) -> Sequence[MethodDescriptor]:
        """All RPCs, service by service, in the order of the protos."""
        return [method for service in self.services for method in service.methods]

    def method(self, name: str) -> MethodDescriptor:
        """Return the RPC with this name. Raises NameNotFoundError."""
        return _named("RPC", name, [(path_of(it), it) for it in self.methods])

    def type(self, name: str) -> Descriptor | EnumDescriptor:
        """Return the message or enum with this name. Raises NameNotFoundError."""
        return _named("message or enum", name, [(it.full_name, it) for it in self._types()])

    def type_names(self) -> list[str]:
        """Return the short names of all messages and enums."""
        return sorted({_last(it.full_name) for it in self._types()})

    def has_method(self, name: str) -> bool:
        """Whether this names one RPC."""
        try:
            self.method(name)
        except NameNotFoundError:
            return False
        return True

    def _types(self) -> Iterable[Descriptor | EnumDescriptor]:
        files: dict[str, FileDescriptor] = {}
        for service in self.services:
            _collect(service.file, files)
        for file in files.values():
            yield from file.enum_types_by_name.values()
            for message in file.message_types_by_name.values():
                yield from _with_nested(message)


def path_of(method: MethodDescriptor) -> str:
    """Return an RPC's name as gRPC has it, without the slash before it."""
    return f"{method.containing_service.full_name}/{method.name}"


def _with_nested(message: Descriptor) -> Iterable[Descriptor | EnumDescriptor]:
    yield message
    yield from message.enum_types
    for nested in message.nested_types:
        if not nested.GetOptions().map_entry:
            yield from _with_nested(nested)


def _collect(file: FileDescriptor, into: dict[str, FileDescriptor]) -> None:
    if file.name not in into:
        into[file.name] = file
        for imported in file.dependencies:
            _collect(imported, into)


def _named(kind: str, name: str, known: Sequence[tuple[str, N]]) -> N:
    wanted = name.strip("/").lower()
    found = [it for full, it in known if full.lower() == wanted]
    found = found or [it for full, it in known if _ends(full.lower(), wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        options = ", ".join(full for full, _ in known if _ends(full.lower(), wanted))
        raise NameNotFoundError(f"{name} may be any of these: {options}")
    short = {_last(full).lower(): _last(full) for full, _ in known}
    near = difflib.get_close_matches(_last(wanted), short, n=3)
    hint = f"; is it {' or '.join(short[it] for it in near)}?" if near else ""
    raise NameNotFoundError(f"there is no {kind} {name}{hint}")


def _ends(full: str, wanted: str) -> bool:
    """Whether a name ends in another one, at a border between its parts."""
    return full.endswith((f"/{wanted}", f".{wanted}")) or full == wanted


def _last(full: str) -> str:
    return full.replace("/", ".").rpartition(".")[2]


# grpcio-reflection's own client is for channels without asyncio.
async def _asked(channel: grpc.aio.Channel) -> Api:
    call = ServerReflectionStub(channel).ServerReflectionInfo(timeout=_REFLECTION_S)
    files: dict[str, FileDescriptorProto] = {}
    await call.write(ServerReflectionRequest(list_services=""))
    names = [it.name for it in (await _read(call)).list_services_response.service]
    for name in names:
        await call.write(ServerReflectionRequest(file_containing_symbol=name))
        for data in (await _read(call)).file_descriptor_response.file_descriptor_proto:
            file = FileDescriptorProto.FromString(data)
            files[file.name] = file
    await call.done_writing()
    pool, added = DescriptorPool(), set[str]()
    for name in files:
        _add(name, files, pool, added)
    return Api([pool.FindServiceByName(name) for name in names])


async def _read(call: Any) -> ServerReflectionResponse:
    response: ServerReflectionResponse = await call.read()
    if response is grpc.aio.EOF:
        await call.code()
    return response


def _add(
    name: str, files: Mapping[str, FileDescriptorProto], pool: DescriptorPool, added: set[str]
) -> None:
    """Add a file after those that it imports; what a server leaves out is in this package."""
    if name in added:
        return
    added.add(name)
    file = files.get(name)
    if file is None:
        file = FileDescriptorProto()
        Default().FindFileByName(name).CopyToProto(file)
    for imported in file.dependency:
        _add(imported, files, pool, added)
    pool.Add(file)
