"""The RPCs that stand for REST operations, as their descriptors tell."""

import re
from dataclasses import dataclass
from typing import Any

from google.api import annotations_pb2, field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from conferencing.v1 import conference_service_pb2, queue_service_pb2, rest_pb2
from tests.harness.gateway import RunningGateway

F = FieldDescriptor


@dataclass(frozen=True)
class Rpc:
    name: str
    service: str
    request: Any
    response: Any
    # Fields whose values are segments of the path.
    path_fields: tuple[str, ...]

    @classmethod
    def of(cls, method: MethodDescriptor) -> "Rpc":
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        path = getattr(rule, rule.WhichOneof("pattern"))
        return cls(
            method.name,
            method.containing_service.name,
            method.input_type,
            method.output_type,
            tuple(re.findall(r"\{(\w+)\}", path)),
        )

    @property
    def request_class(self) -> type[Message]:
        return GetMessageClass(self.request)

    @property
    def is_paged(self) -> bool:
        return "page_token" in self.request.fields_by_name

    @property
    def result_field(self) -> Any:
        """The field of the response that holds the provider's result, None if it has none."""
        beside = {"receipt", "next_page_token", "total_size", "unreadable"}
        fields = [field for field in self.response.fields if field.name not in beside]
        assert len(fields) <= 1
        return fields[0] if fields else None

    def smallest_request(self) -> Any:
        """Return a request with nothing but what is required."""
        values = {F.TYPE_STRING: "x", F.TYPE_ENUM: 1, F.TYPE_INT32: 1}
        return self.request_class(
            **{
                field.name: [values[field.type]] if field.is_repeated else values[field.type]
                for field in self.request.fields
                if is_required(field)
            }
        )

    def call(self, gateway: RunningGateway, request: Any) -> Any:
        stubs = {"ConferenceService": gateway.conferences, "QueueService": gateway.queues}
        return getattr(stubs[self.service], self.name)(request, timeout=20)


RPCS = [
    Rpc.of(method)
    for service in (
        conference_service_pb2.DESCRIPTOR.services_by_name["ConferenceService"],
        queue_service_pb2.DESCRIPTOR.services_by_name["QueueService"],
    )
    for method in service.methods
]


def is_required(field: Any) -> bool:
    behaviors = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return field_behavior_pb2.REQUIRED in behaviors


def is_number_or_word(field: Any) -> bool:
    return bool(field.GetOptions().Extensions[rest_pb2.number_or_word])


def is_timestamp(field: Any) -> bool:
    if field.type != F.TYPE_MESSAGE:
        return False
    return str(field.message_type.full_name) == "google.protobuf.Timestamp"


def is_choice(oneof: Any) -> bool:
    """Tell a oneof of the proto from the one that `optional` makes for each field."""
    return oneof is not None and not (
        len(oneof.fields) == 1 and oneof.name == f"_{oneof.fields[0].name}"
    )
