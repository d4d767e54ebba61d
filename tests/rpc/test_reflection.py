"""Reflection: what grpcurl, buf curl, Postman and the like learn the API from."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from hypothesis import given
from hypothesis import strategies as st

from gateway.schema.services import COMMAND_SERVICES, EVENT_SERVICE
from tests.harness.gateway import RunningGateway

BUF = Path(sys.executable).with_name("buf")
V1, V1ALPHA = "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"
SERVICES = (*COMMAND_SERVICES, EVENT_SERVICE)
NOT_FOUND, INVALID_ARGUMENT = 5, 3

versions = pytest.mark.parametrize("version", [V1, V1ALPHA])


def ask(gateway: RunningGateway, version: str, **question: Any) -> Any:
    method: Any = gateway.channel.stream_stream(
        f"/{version}/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    (response,) = method(iter([reflection_pb2.ServerReflectionRequest(**question)]), timeout=20)
    return response


def pool_of(response: Any) -> DescriptorPool:
    """The files of a response, which must be all that they need."""
    files = {}
    for data in response.file_descriptor_response.file_descriptor_proto:
        file = descriptor_pb2.FileDescriptorProto.FromString(data)
        files[file.name] = file
    pool = DescriptorPool()

    def add(name: str) -> None:
        file = files.pop(name, None)
        if file is not None:
            for dependency in file.dependency:
                add(dependency)
            pool.Add(file)

    for name in tuple(files):
        add(name)
    return pool


def symbols_of_message(message: Any) -> Iterator[str]:
    yield message.full_name
    yield from (field.full_name for field in message.fields)
    yield from (oneof.full_name for oneof in message.oneofs)
    for enum in message.enum_types:
        yield from symbols_of_enum(enum)
    for nested in message.nested_types:
        yield from symbols_of_message(nested)


def symbols_of_enum(enum: Any) -> Iterator[str]:
    yield enum.full_name
    scope = enum.full_name.rpartition(".")[0]
    yield from (f"{scope}.{value.name}" for value in enum.values)


def symbols() -> Iterator[str]:
    """Everything that has a name in the files of our services, and in those that they import."""
    seen: set[str] = set()
    waiting: list[Any] = [service.file for service in SERVICES] + [health_pb2.DESCRIPTOR]
    while waiting:
        file = waiting.pop()
        if file.name in seen:
            continue
        seen.add(file.name)
        waiting += file.dependencies
        for message in file.message_types_by_name.values():
            yield from symbols_of_message(message)
        for enum in file.enum_types_by_name.values():
            yield from symbols_of_enum(enum)
        yield from (extension.full_name for extension in file.extensions_by_name.values())
        for service in file.services_by_name.values():
            yield service.full_name
            yield from (method.full_name for method in service.methods)
    for name in (V1, V1ALPHA):
        yield name
        yield f"{name}.ServerReflectionInfo"
        yield f"{name.rpartition('.')[0]}.ServerReflectionRequest"


@versions
def test_both_versions_list_the_services_and_themselves(
    gateway: RunningGateway, version: str
) -> None:
    response = ask(gateway, version, list_services="")

    names = [service.name for service in response.list_services_response.service]
    assert names == sorted(
        [*(service.full_name for service in SERVICES), "grpc.health.v1.Health", V1, V1ALPHA]
    )


@pytest.mark.slow
def test_every_symbol_of_the_api_is_found(gateway: RunningGateway) -> None:
    method: Any = gateway.channel.stream_stream(
        f"/{V1}/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    wanted = list(symbols())
    requests = (
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=name) for name in wanted
    )

    missing = [
        response.original_request.file_containing_symbol
        for response in method(requests, timeout=60)
        if not response.HasField("file_descriptor_response")
    ]

    assert missing == []
    assert len(wanted) > 500


@versions
@pytest.mark.parametrize("service", SERVICES, ids=lambda it: it.name)
def test_a_method_is_found_with_all_files_that_it_needs(
    gateway: RunningGateway, version: str, service: Any
) -> None:
    for method in service.methods:
        pool = pool_of(ask(gateway, version, file_containing_symbol=method.full_name))

        found = pool.FindServiceByName(service.full_name).methods_by_name[method.name]
        assert found.input_type.full_name == method.input_type.full_name


@versions
def test_the_details_of_errors_are_found(gateway: RunningGateway, version: str) -> None:
    for name in ("ErrorInfo", "BadRequest", "ResourceInfo", "RetryInfo", "RequestInfo", "Help"):
        response = ask(gateway, version, file_containing_symbol=f"google.rpc.{name}")
        assert pool_of(response).FindMessageTypeByName(f"google.rpc.{name}") is not None


@versions
def test_extensions_are_found_by_their_number(gateway: RunningGateway, version: str) -> None:
    options = "google.protobuf.FieldOptions"
    numbers = ask(gateway, version, all_extension_numbers_of_type=options)
    found = numbers.all_extension_numbers_response
    assert found.base_type_name == options
    names = set()
    for number in found.extension_number:
        extension = reflection_pb2.ExtensionRequest(
            containing_type=options, extension_number=number
        )
        pool = pool_of(ask(gateway, version, file_containing_extension=extension))
        message = pool.FindMessageTypeByName(options)
        names.add(pool.FindExtensionByNumber(message, number).full_name)

    assert names == {
        "google.api.field_behavior",
        "conferencing.v1.event_field",
        "conferencing.v1.event_key",
        "conferencing.v1.rest_name",
        "conferencing.v1.number_or_word",
    }


@versions
def test_a_file_is_found_by_its_name(gateway: RunningGateway, version: str) -> None:
    for name in (
        "conferencing/v1/event_service.proto",
        "google/api/http.proto",
        "grpc/reflection/v1/reflection.proto",
    ):
        assert pool_of(ask(gateway, version, file_by_filename=name)).FindFileByName(name)


@given(
    st.one_of(
        st.fixed_dictionaries({"file_containing_symbol": st.text(max_size=40)}),
        st.fixed_dictionaries({"file_by_filename": st.text(max_size=40)}),
        st.fixed_dictionaries({"all_extension_numbers_of_type": st.text(max_size=40)}),
        st.fixed_dictionaries(
            {
                "file_containing_extension": st.builds(
                    reflection_pb2.ExtensionRequest,
                    containing_type=st.text(max_size=40) | st.just("google.protobuf.FieldOptions"),
                    extension_number=st.integers(-(2**31), 2**31 - 1),
                )
            }
        ),
        st.sampled_from([it.full_name + "." for it in SERVICES]).flatmap(
            lambda service: st.fixed_dictionaries(
                {"file_containing_symbol": st.text("aJ.\x00", max_size=5).map(service.__add__)}
            )
        ),
    )
)
def test_what_is_not_there_is_not_found_and_ends_no_stream(
    shared_gateway: RunningGateway, question: dict[str, Any]
) -> None:
    for version in (V1, V1ALPHA):
        response = ask(shared_gateway, version, **question)

        assert response.error_response.error_code == NOT_FOUND
        assert response.original_request == reflection_pb2.ServerReflectionRequest(**question)


@versions
def test_a_question_of_no_kind_is_refused_in_band(gateway: RunningGateway, version: str) -> None:
    assert ask(gateway, version).error_response.error_code == INVALID_ARGUMENT


@pytest.mark.parametrize("protocol", ["grpc-v1", "grpc-v1alpha"])
def test_a_client_that_speaks_only_one_version_can_call(
    gateway: RunningGateway, protocol: str
) -> None:
    address = gateway.app.grpc_address
    result = subprocess.run(
        [
            *(BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge"),
            *("--reflect-protocol", protocol, "--data", '{"queue_name": "support"}'),
            f"http://{address}/conferencing.v1.QueueService/DeleteQueue",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert result.returncode == 0, result.stderr
    assert isinstance(json.loads(result.stdout), dict)


def test_reflection_still_answers_after_the_client_half_closed(gateway: RunningGateway) -> None:
    method: Any = gateway.channel.stream_stream(
        f"/{V1}/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )

    call = method(iter(()), timeout=20)

    assert list(call) == []
    assert call.code() is grpc.StatusCode.OK
