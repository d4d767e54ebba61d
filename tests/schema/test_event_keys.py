"""Keys of events: declared once in the protos, and found everywhere from there."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from conferencing.v1 import event_service_pb2, keys_pb2
from conferencing.v1.event_pb2 import Event
from gateway.details import FieldViolation
from gateway.feed.feed import Feed
from gateway.feed.format import event_format
from gateway.ingest.webhooks.decoder import WebhookDecoder
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.sqlite import open_log
from gateway.schema.event_keys import EventKey, KeyDeclarationError, declared_keys, payload_names
from gateway.server.services.filters import FilterReader
from gateway.tailing import key_options
from tests.harness.descriptors import pool_of_files
from tests.harness.loop import LoopThread
from tests.journal.following import followed

# A text of events that is no key yet, and the declaration that makes it one.
SPARE = next(
    name
    for name in payload_names()
    if name not in {key.name for key in declared_keys()}
    and Event.DESCRIPTOR.fields_by_name[name].type == FieldDescriptor.TYPE_STRING
)
SPARE_KEY = {"field": SPARE, "option": "spare", "label": "spare text"}


def filter_with(declared: dict[str, Any] | None, **changes: Any) -> Descriptor:
    """Return a copy of EventFilter that has one more field, with this option event_key."""

    def change(file: Any) -> None:
        for message in file.message_type:
            if message.name == "EventFilter":
                _add_field(message, declared, changes)

    pool = pool_of_files([event_service_pb2.DESCRIPTOR], change)
    found: Descriptor = pool.FindMessageTypeByName("conferencing.v1.EventFilter")
    return found


def _add_field(message: Any, declared: dict[str, Any] | None, changes: dict[str, Any]) -> None:
    field = message.field.add()
    field.CopyFrom(message.field[0])
    field.name, field.json_name, field.number = "spare_texts", "spareTexts", 77
    field.options.Clear()
    if declared is not None:
        key = keys_pb2.EventKey(**declared)
        field.options.Extensions[keys_pb2.event_key].CopyFrom(key)
    for name, value in changes.items():
        setattr(field, name, value)


def body(number: int) -> bytes:
    payload = {SPARE: f"it-{number}", "conference_id": "c1"}
    data = {"id": f"e{number}", "event_type": "conference.created", "payload": payload}
    return json.dumps({"data": data}).encode()


def test_a_key_that_is_added_to_the_protos_is_found_everywhere(
    loop: LoopThread, tmp_path: Path
) -> None:
    filter_type = filter_with(SPARE_KEY)
    keys = declared_keys(filter_type)
    assert keys[-1] == EventKey(SPARE, "spare_texts", False, "spare", "spare text")

    # The filter of a request.
    violations: list[FieldViolation] = []
    message = GetMessageClass(filter_type)(spare_texts=["it-3", "it-2000"])
    wanted = FilterReader(keys).read(message, violations)
    assert not violations
    bad = GetMessageClass(filter_type)(spare_texts=["", "x"])
    FilterReader(keys).read(bad, violations)
    assert [it.field for it in violations] == ["filter.spare_texts[0]"]

    # What is taken out of webhooks, the log's columns and index, and the keys that wake streams.
    async def numbers() -> tuple[list[int], list[int]]:
        log = await open_log(tmp_path / "events.db", event_format(keys))
        feed, decoder = Feed(log.index), WebhookDecoder(keys)
        made = [decoder.decode(body(number), 1) for number in range(2_500)]
        with feed.subscribe(wanted, EVERYTHING, 0, 100) as live:
            await asyncio.gather(*map(log.journal.append, made[:100]))
            woken = [it.sequence for it in (await live.next(5)).frames]
        await asyncio.gather(*map(log.journal.append, made[100:]))
        indexed = await followed(log, wanted, after=0, limit=100)
        await log.close()
        return woken, indexed

    assert loop.run(numbers()) == ([4], [4, 2_001])

    # The options of `tail`.
    @click.command()
    @key_options(keys)
    def tail(**given: Sequence[str]) -> None:
        click.echo(given["spare_texts"])

    assert (
        "Only events with this spare text; repeatable."
        in CliRunner().invoke(tail, ["--help"]).output
    )
    assert "it-7" in CliRunner().invoke(tail, ["--spare", "it-7"]).output


def test_payloads_may_call_a_key_otherwise() -> None:
    names = payload_names()

    assert names["queue_name"] == ("queue_name", "queue")
    assert names["call_session_id"] == ("call_session_id", "creator_call_session_id")
    assert names["occurred_at"] == ("occurred_at", "recording_ended_at")
    assert {key.name for key in declared_keys()} - {"type"} <= set(names)


@pytest.mark.parametrize(
    ("declared", "changes", "said"),
    [
        (None, {}, "spare_texts has no option event_key"),
        (SPARE_KEY | {"field": "no_such"}, {}, "chooses by 'no_such'"),
        (SPARE_KEY | {"field": "cursor"}, {}, "chooses by 'cursor'"),
        (SPARE_KEY | {"field": "conference_id"}, {}, "have the same name"),
        (SPARE_KEY | {"option": "call"}, {}, "have the same option"),
        (SPARE_KEY | {"label": ""}, {}, "spare_texts lacks field, option or label"),
        (
            SPARE_KEY,
            {"type": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES},
            "not a repeated string",
        ),
        (
            SPARE_KEY,
            {"label": descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL},
            "not a repeated",
        ),
    ],
)
def test_a_declaration_that_makes_no_sense_is_named(
    declared: dict[str, Any] | None, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(KeyDeclarationError, match=said):
        declared_keys(filter_with(declared, **changes))


def test_a_filter_has_a_limit_for_each_key_that_is_set() -> None:
    keys = declared_keys()
    names = [key.name for key in keys]

    wanted = Filter.of(keys, {"queue_name": ["q"], "type": ["a", "b.*"], "conference_id": []})

    assert [names[limit.key] for limit in wanted.limits] == ["queue_name", "type"]
    assert wanted.limits[1].values == {"a"}
    assert wanted.limits[1].prefixes == ("b.",)
    assert Filter.of(keys, {"type": ["a", "*"]}).is_everything
    assert not Filter.of(keys, {"queue_name": ["q*"]}).limits[0].prefixes
