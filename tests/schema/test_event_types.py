"""The type of each typed payload, as the protos declare it."""

from typing import Any

from google.protobuf.descriptor import Descriptor

from conferencing.v1 import event_pb2, rest_pb2
from gateway.schema.event_types import payload_fields
from tests.harness.descriptors import pool_of_files


def event_with(name: str, declared: str = "") -> Descriptor:
    """Return a copy of Event that has one more payload, with this option rest_name."""

    def change(file: Any) -> None:
        for message in file.message_type:
            if message.name == "Event":
                (first,) = [it for it in message.field if it.name == "call_enqueued"]
                field = message.field.add()
                field.CopyFrom(first)
                field.name, field.json_name, field.number = name, "added", 777
                if declared:
                    field.options.Extensions[rest_pb2.rest_name] = declared

    pool = pool_of_files([event_pb2.DESCRIPTOR], change)
    found: Descriptor = pool.FindMessageTypeByName("conferencing.v1.Event")
    return found


def test_a_payload_is_of_the_type_that_its_name_says() -> None:
    added = payload_fields(event_with("call_dtmf_received"))

    assert added.keys() - payload_fields().keys() == {"call.dtmf.received"}
    assert added["call.dtmf.received"].name == "call_dtmf_received"
    assert added["conference.floor.changed"].name == "conference_floor_changed"


def test_a_type_with_an_underscore_is_declared() -> None:
    added = payload_fields(event_with("call_ai_gather_ended", "call.ai_gather.ended"))

    assert added.keys() - payload_fields().keys() == {"call.ai_gather.ended"}


def test_what_has_no_payload_of_its_own_is_no_type() -> None:
    assert "unknown" not in payload_fields()
