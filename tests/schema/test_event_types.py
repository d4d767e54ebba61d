"""The type of each typed payload, as the protos declare it."""

from gateway.schema.event_types import payload_fields
from tests.harness.descriptors import event_with


def test_a_payload_is_of_the_type_that_its_name_says() -> None:
    added = payload_fields(event_with("a_b_c"))

    assert added.keys() - payload_fields().keys() == {"a.b.c"}
    assert added["a.b.c"].name == "a_b_c"
    assert added["conference.floor.changed"].name == "conference_floor_changed"


def test_a_type_with_an_underscore_is_declared() -> None:
    added = payload_fields(event_with("call_ai_gather_ended", "call.ai_gather.ended"))

    assert added.keys() - payload_fields().keys() == {"call.ai_gather.ended"}


def test_what_has_no_payload_of_its_own_is_no_type() -> None:
    assert "unknown" not in payload_fields()
