"""Who may call a method, as the protos say it: by its idempotency level, or by `required_role`."""

from collections.abc import Iterable
from typing import NamedTuple

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from conferencing.v1 import access_pb2

# What follows from an idempotency level. One that is not set says nothing.
_ROLES = {
    MethodOptions.NO_SIDE_EFFECTS: access_pb2.ROLE_READER,
    MethodOptions.IDEMPOTENT: access_pb2.ROLE_OPERATOR,
}


class AccessError(Exception):
    """A method of which the protos do not say who may call it; the text names it."""


class Access(NamedTuple):
    """Who may call a method.

    `role` is the number of a `conferencing.v1.Role`, the least that a caller must have.
    `is_stream` says whether the method responds with a stream, which lasts.
    """

    role: int
    is_stream: bool


def compile_access(services: Iterable[ServiceDescriptor]) -> dict[str, Access]:
    """Return who may call each method, by its full name (`package.Service/Method`).

    Raises AccessError. To be called also where nobody is asked who calls: a method that nobody may
    call must not go unnoticed.
    """
    return {
        f"{service.full_name}/{method.name}": access_of(method)
        for service in services
        for method in service.methods
    }


def access_of(method: MethodDescriptor) -> Access:
    """Return who may call a method. Raises AccessError."""
    options = method.GetOptions()
    follows = _ROLES.get(options.idempotency_level)
    declared = options.Extensions[access_pb2.required_role]
    if declared not in access_pb2.Role.values():
        # A number of another release: nobody here knows who that is.
        raise AccessError(f"{method.full_name} has the option required_role of an unknown role")
    if declared == access_pb2.ROLE_UNSPECIFIED and follows is None:
        raise AccessError(
            f"nothing says who may call {method.full_name}: set idempotency_level to"
            " NO_SIDE_EFFECTS or IDEMPOTENT, or the option required_role"
        )
    changes_nothing = options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    if declared == access_pb2.ROLE_READER and not changes_nothing:
        raise AccessError(
            f"{method.full_name} has the option required_role = ROLE_READER: readers change"
            " nothing, and it is not declared NO_SIDE_EFFECTS"
        )
    return Access(max(declared, follows or 0), method.server_streaming)
