"""Which payload an event of a type has, as the protos declare it."""

from collections.abc import Mapping

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from conferencing.v1.event_pb2 import Event
from gateway.schema.annotations import rest_name

# The payload of all types that have none of their own.
_UNKNOWN = "unknown"


def payload_fields(event: Descriptor = Event.DESCRIPTOR) -> Mapping[str, FieldDescriptor]:
    """Return the typed payloads of `Event`, by the event type that each is of.

    The type is the `rest_name` option, else the field's name with dots in place of underscores
    (`call_enqueued` is `call.enqueued`).
    """
    return {
        _type_of(field): field
        for field in event.oneofs_by_name["payload"].fields
        if field.name != _UNKNOWN
    }


def _type_of(field: FieldDescriptor) -> str:
    declared = rest_name(field)
    return declared if declared != field.name else field.name.replace("_", ".")
