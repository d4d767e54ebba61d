"""The provider's own library drives the sandbox and finds its answers and webhooks valid."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import telnyx
import typing_extensions
from telnyx._models import BaseModel
from telnyx.types import unwrap_webhook_event

from gateway.sandbox.operations import load_operations
from tests.harness.schemas import event_types
from tests.sandbox.stage import ALICE, BOB, CAROL, Stage

AUDIO = "http://example.com/a.wav"
EVENT_MODELS = {
    name: model
    for name, model in vars(unwrap_webhook_event).items()
    if isinstance(model, type) and issubclass(model, BaseModel)
}


@pytest.fixture
def stage(open_stage: Callable[..., Stage]) -> Stage:
    return open_stage(rejected_api_keys=("REVOKED",))


@pytest.fixture
def client(stage: Stage) -> Iterator[telnyx.Telnyx]:
    with telnyx.Telnyx(
        api_key="KEY",
        base_url=stage.sandbox.base_url,
        public_key=stage.sandbox.public_key,
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


def missing_fields(model: BaseModel, at: str = "") -> list[str]:
    """Fields a model knows and its data left out, however deep."""
    found = []
    for name, field in type(model).model_fields.items():
        place = f"{at}.{field.alias or name}"
        if name not in model.model_fields_set:
            found.append(place)
        value = getattr(model, name)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, BaseModel):
                found.extend(missing_fields(one, place))
    return found


@pytest.mark.slow
def test_the_library_drives_all_operations(client: telnyx.Telnyx, stage: Stage) -> None:
    conferences, actions = client.conferences, client.conferences.actions
    queues, calls = client.queues, client.calls.actions
    answers: list[Any] = [queues.create(queue_name="support", max_size=5)]
    answers.append(calls.enqueue(ALICE, queue_name="support", max_wait_time_secs=60))
    answers += queues.list().data or []
    answers.append(queues.retrieve("support"))
    answers.append(queues.update("support", max_size=7))
    answers += queues.calls.list("support").data or []
    answers.append(queues.calls.retrieve(ALICE, queue_name="support"))
    queues.calls.update(ALICE, queue_name="support", keep_after_hangup=True)
    queues.calls.remove(ALICE, queue_name="support")
    answers.append(calls.enqueue(ALICE, queue_name="support"))
    answers.append(calls.leave_queue(ALICE, command_id="out"))
    queues.delete("support")

    created = conferences.create(call_control_id=ALICE, name="Standup", client_state="YQ==")
    assert created.data is not None
    id = created.data.id
    answers.append(created)
    answers.append(actions.join(id, call_control_id=BOB, mute=True, region="US"))
    answers += conferences.list(filter={"name": "Standup"}, region="US").data or []
    answers.append(conferences.retrieve(id, region="US"))
    listed = conferences.list_participants(id, filter={"muted": True}).data or []
    assert [one.call_control_id for one in listed] == [BOB]
    answers += listed
    answers.append(conferences.retrieve_participant(listed[0].id, id=id))
    answers.append(
        conferences.update_participant(listed[0].id, id=id, soft_end_conference_on_exit=True)
    )
    answers += [
        actions.update(id, call_control_id=BOB, supervisor_role="monitor"),
        actions.gather_dtmf_audio(id, call_control_id=BOB, audio_url=AUDIO),
        actions.hold(id, call_control_ids=[BOB]),
        actions.unhold(id, call_control_ids=[BOB]),
        actions.mute(id),
        actions.unmute(id),
        actions.play(id, audio_url=AUDIO, loop="infinity"),
        actions.speak(id, payload="Hello", voice="Telnyx.KokoroTTS.af", language="en-US"),
        actions.stop(id),
        actions.send_dtmf(id, digits="1w#"),
        actions.record_start(id, format="mp3", channels="dual"),
        actions.record_pause(id),
        actions.record_resume(id),
        actions.record_stop(id),
        actions.leave(id, call_control_id=BOB),
        actions.end_conference(id),
    ]

    stage.control.wait_until_delivered()
    deliveries = client.webhook_deliveries.list(filter={"status": {"eq": "delivered"}}).data
    assert deliveries
    delivery = client.webhook_deliveries.retrieve(deliveries[0].id or "")

    for answer in answers:
        assert missing_fields(answer) == []
    # Most events carry the moment they happened in their payload, and the log shows them as sent.
    gaps = {gap for one in [*deliveries, delivery] for gap in missing_fields(one)}
    assert gaps <= {".webhook.occurred_at", ".data.webhook.occurred_at"}
    driven = {one.operation for one in stage.control.requests()}
    assert driven == {one.id for one in load_operations()}


def test_the_library_pages_through_a_list(client: telnyx.Telnyx) -> None:
    for number in range(5):
        client.queues.create(queue_name=f"queue-{number}")

    names = [one.name for one in client.queues.list(page_size=2)]

    assert names == [f"queue-{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda one: one.conferences.retrieve("nothing"), telnyx.NotFoundError),
        (lambda one: one.queues.create(queue_name=""), telnyx.UnprocessableEntityError),
        (lambda one: one.with_options(api_key="REVOKED").queues.list(), telnyx.AuthenticationError),
    ],
)
def test_the_library_understands_refusals(
    client: telnyx.Telnyx, act: Callable[[telnyx.Telnyx], Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        act(client)


def stir(stage: Stage) -> None:
    """Cause an event of each type."""
    stage.enqueue(ALICE, client_state="YQ==")
    conference = stage.meet(ALICE, BOB, CAROL, client_state="YQ==")
    stage.act(conference, "play", audio_url=AUDIO)
    stage.act(conference, "play", media_name="tune", call_control_ids=[BOB])
    stage.act(conference, "speak", payload="Hello", voice="female")
    stage.act(conference, "speak", payload="Hello", voice="female", call_control_ids=[BOB])
    stage.control.advance(10)
    stage.control.talk(BOB)
    stage.act(conference, "record_start", format="wav")
    stage.act(conference, "record_stop")
    stage.act(conference, "end")


def model_of(event_type: str) -> Any:
    """The library's model for ``data`` of an event."""
    for model in EVENT_MODELS.values():
        hint: Any = model
        if "data" in model.model_fields:
            # Most are wrapped in a model that has nothing else.
            hint = model.model_fields["data"].annotation
        for inner in _members(hint):
            if not _is_model(inner) or "event_type" not in inner.model_fields:
                continue
            if event_type in _texts(inner.model_fields["event_type"].annotation):
                return inner
    raise AssertionError(f"the library has no model for {event_type}")


def _members(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) or (hint,)


def _is_model(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseModel)


def _texts(hint: Any) -> set[str]:
    found: set[str] = set()
    for one in _members(hint):
        if typing.get_origin(one) in (typing.Literal, typing_extensions.Literal):
            found.update(typing.get_args(one))
        elif isinstance(one, str):
            found.add(one)
    return found


def test_every_webhook_is_signed_and_valid(client: telnyx.Telnyx, stage: Stage) -> None:
    stir(stage)
    stage.control.wait_until_delivered()

    seen = set()
    for one in stage.receiver.received:
        client.webhooks.unwrap(one.raw.decode(), headers=one.headers)
        # The library builds events without validating them, so it is done here.
        event = model_of(one.type).model_validate(one.data)
        assert missing_fields(event) == [], one.type
        assert _extra_fields(event) == [], one.type
        seen.add(one.type)
    assert seen == event_types()


def test_the_library_refuses_a_webhook_that_was_changed(
    client: telnyx.Telnyx, stage: Stage
) -> None:
    stage.create()
    stage.control.wait_until_delivered()
    one = stage.receiver.received[0]

    with pytest.raises(ValueError, match="does not match"):
        client.webhooks.unwrap(one.raw.decode() + " ", headers=one.headers)


def _extra_fields(model: BaseModel) -> list[str]:
    """Fields in the data that a model does not know, however deep."""
    found = list(model.model_extra or ())
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            found += _extra_fields(value)
    return found
