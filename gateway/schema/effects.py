"""Which events show the effect of a command, as the protos declare it (`effects.proto`)."""

from collections.abc import Iterable, Mapping, Sequence

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from conferencing.v1 import effects_pb2
from gateway.schema.binding import BindingError
from gateway.schema.event_types import payload_fields


def declared_effects(services: Iterable[ServiceDescriptor]) -> Mapping[str, Sequence[str]]:
    """Return the event types of each method that declares some, by its name in calls.

    That is `package.Service/Method`. Raises BindingError for a type that no event has.
    """
    types = frozenset(payload_fields())
    found: dict[str, Sequence[str]] = {}
    for service in services:
        for method in service.methods:
            effects = tuple(_effects_of(method))
            if unknown := [it for it in effects if it not in types]:
                why = f"its effect {unknown[0]!r} is a type of which Event has no payload"
                raise BindingError(method.full_name, why)
            if effects:
                found[f"{service.full_name}/{method.name}"] = effects
    return found


def _effects_of(method: MethodDescriptor) -> Iterable[str]:
    declared: Iterable[str] = method.GetOptions().Extensions[effects_pb2.effects]
    return declared
