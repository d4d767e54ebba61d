"""Which role an RPC needs, as the protos say it; and that none can be forgotten."""

from typing import Any

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from conferencing.v1 import access_pb2, conference_service_pb2
from gateway.callers.caller import Role
from gateway.schema.access import AccessError, access_of, compile_access
from gateway.schema.services import COMMAND_SERVICES, EVENT_SERVICE
from tests.harness.descriptors import pool_of_files

SERVICES = (*COMMAND_SERVICES, EVENT_SERVICE)
METHODS = [method for service in SERVICES for method in service.methods]

# A second opinion: what changes the account, and what else changes nothing.
ADMINS = {"CreateQueue", "UpdateQueue", "DeleteQueue"}
READERS = {"Subscribe", "WatchConference"}


def wanted(name: str) -> Role:
    if name in READERS or name.startswith(("Get", "List")):
        return Role.READER
    return Role.ADMIN if name in ADMINS else Role.OPERATOR


def method_with(level: int, role: int) -> MethodDescriptor:
    """EndConference as it would be with other options."""

    def change(file: Any) -> None:
        for method in (it for service in file.service for it in service.method):
            if method.name == "EndConference":
                method.options.ClearField("idempotency_level")
                if level:
                    method.options.idempotency_level = level
                if role:
                    method.options.Extensions[access_pb2.required_role] = role

    pool = pool_of_files([conference_service_pb2.DESCRIPTOR], change)
    found: MethodDescriptor = pool.FindMethodByName(
        "conferencing.v1.ConferenceService.EndConference"
    )
    return found


def test_the_roles_of_the_code_are_those_of_the_protos() -> None:
    declared = {name.removeprefix("ROLE_"): it for name, it in access_pb2.Role.items() if it}

    assert {role.name: role.value for role in Role} == declared


@pytest.mark.parametrize("method", METHODS, ids=lambda it: it.name)
def test_each_rpc_needs_the_role_that_it_should(method: MethodDescriptor) -> None:
    access = access_of(method)

    assert Role(access.role) is wanted(method.name)
    assert access.is_stream == method.server_streaming


def test_methods_are_found_by_the_names_that_calls_have() -> None:
    assert set(compile_access(SERVICES)) == {
        f"{it.containing_service.full_name}/{it.name}" for it in METHODS
    }


@pytest.mark.parametrize(
    ("level", "role", "needed"),
    [
        (MethodOptions.NO_SIDE_EFFECTS, 0, Role.READER),
        (MethodOptions.NO_SIDE_EFFECTS, Role.READER, Role.READER),
        (MethodOptions.NO_SIDE_EFFECTS, Role.ADMIN, Role.ADMIN),
        (MethodOptions.IDEMPOTENT, 0, Role.OPERATOR),
        (MethodOptions.IDEMPOTENT, Role.ADMIN, Role.ADMIN),
        (MethodOptions.IDEMPOTENCY_UNKNOWN, Role.OPERATOR, Role.OPERATOR),
        (MethodOptions.IDEMPOTENCY_UNKNOWN, Role.ADMIN, Role.ADMIN),
    ],
)
def test_the_option_says_what_the_level_does_not(level: int, role: int, needed: Role) -> None:
    assert access_of(method_with(level, role)).role == needed


@pytest.mark.parametrize(
    ("level", "role", "says"),
    [
        (MethodOptions.IDEMPOTENCY_UNKNOWN, 0, "nothing says who may call"),
        (MethodOptions.IDEMPOTENT, Role.READER, "readers change nothing"),
        (MethodOptions.IDEMPOTENCY_UNKNOWN, Role.READER, "readers change nothing"),
        (MethodOptions.NO_SIDE_EFFECTS, 77, "an unknown role"),
    ],
)
def test_a_method_that_anybody_could_call_by_mistake_is_refused_by_name(
    level: int, role: int, says: str
) -> None:
    with pytest.raises(AccessError) as raised:
        access_of(method_with(level, role))

    assert says in str(raised.value)
    assert "conferencing.v1.ConferenceService.EndConference" in str(raised.value)
