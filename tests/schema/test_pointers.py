"""The provider's pointers into a request, as paths of proto fields."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conferencing.v1 import conference_service_pb2 as c
from gateway.schema.annotations import discriminator, rest_name
from gateway.schema.binding import Binding, compile_services
from gateway.schema.services import COMMAND_SERVICES

BINDINGS = {binding.name: binding for binding in compile_services(COMMAND_SERVICES)}

SPEAK = c.SpeakTextRequest(conference_id="c1", call_control_ids=["a", "b"])
SPEAK.voice_settings.minimax.speed = 1.5


@pytest.mark.parametrize(
    ("rpc", "pointer", "path"),
    [
        ("ListConferences", "/filter[status]", "filter.status"),
        ("ListConferences", "filter[from]", "filter.caller"),
        ("ListConferences", "/filter/from", "filter.caller"),
        ("ListConferences", "$.filter['from']", "filter.caller"),
        ("ListConferences", "#/filter%5Bfrom%5D", "filter.caller"),
        (
            "ListConferences",
            "filter[application_name][contains]",
            "filter.application_name.contains",
        ),
        ("ListConferences", "/filter/occurred_at/gte", "filter.occurred_at.gte"),
        (
            "ListConferences",
            "filter[outbound.outbound_voice_profile_id]",
            "filter.outbound_voice_profile_id",
        ),
        ("ListConferences", "/page/size", "page_size"),
        ("ListConferences", "page[size]", "page_size"),
        ("ListConferences", "/page/number", "page_token"),
        ("ListConferences", "/id", "id"),
        ("GetConference", "/id", "conference_id"),
        ("GetParticipant", "/id", "conference_id"),
        ("GetParticipant", "/participant_id", "participant_id"),
        ("SpeakText", "/voice_settings/language_boost", "voice_settings.minimax.language_boost"),
        ("SpeakText", "/voice_settings/type", "voice_settings.minimax"),
        ("SpeakText", "/voice_settings", "voice_settings"),
        ("SpeakText", "call_control_ids.0", "call_control_ids[0]"),
        ("SpeakText", "/call_control_ids/1", "call_control_ids[1]"),
        ("SpeakText", "$.call_control_ids[1]", "call_control_ids[1]"),
        ("SpeakText", "body/payload", "payload"),
        ("SpeakText", "/data/attributes/payload", "payload"),
        ("SpeakText", "/connection_id", "connection_id"),
        ("SpeakText", "/a~1b~01", "a/b~1"),
        ("SpeakText", "/", ""),
    ],
)
def test_each_spelling_means_a_field(rpc: str, pointer: str, path: str) -> None:
    request = SPEAK if rpc == "SpeakText" else BINDINGS[rpc].request_class()

    assert BINDINGS[rpc].field_at(pointer, request) == path


def test_a_oneof_that_is_not_chosen_is_not_guessed() -> None:
    request = c.SpeakTextRequest()

    found = BINDINGS["SpeakText"].field_at("/voice_settings/api_key_ref", request)

    assert found == "voice_settings.api_key_ref"


# Spellings of the same sequence of REST names.
SPELLINGS: list[Callable[[list[str]], str]] = [
    lambda names: "/" + "/".join(it.replace("~", "~0").replace("/", "~1") for it in names),
    lambda names: "#/" + "/".join(quote(it, safe="") for it in names),
    lambda names: names[0] + "".join(f"[{it}]" for it in names[1:]),
    lambda names: "/" + names[0] + "".join(f"[{it}]" for it in names[1:]),
    ".".join,
    lambda names: "$." + ".".join(names),
    lambda names: "$" + "".join(f"['{it}']" for it in names),
    lambda names: "/body/" + "/".join(names),
    lambda names: "body." + ".".join(names),
    lambda names: "query/" + "/".join(names),
]


def places(descriptor: Any, message: Any) -> Iterator[tuple[list[str], str]]:
    """The fields of a request, nested ones too: their REST names and their proto paths.

    Members of a discriminated oneof are set, one after the other, to be the chosen one.
    """
    for field in descriptor.fields:
        if discriminator(field.containing_oneof):
            getattr(message, field.name).SetInParent()
            names, path = [], field.name
        else:
            names, path = [rest_name(field)], field.name
            yield names, path
        if field.is_repeated:
            yield [*names, "3"], f"{path}[3]"
        elif field.message_type and not field.message_type.full_name.startswith("google."):
            for inner, below in places(field.message_type, getattr(message, field.name)):
                yield [*names, *inner], f"{path}.{below}"


@pytest.mark.parametrize("spell", SPELLINGS)
@pytest.mark.parametrize("binding", BINDINGS.values(), ids=lambda it: it.name)
def test_every_field_is_found_in_every_spelling(
    binding: Binding, spell: Callable[[list[str]], str]
) -> None:
    request = binding.request_class()
    for names, path in places(binding.request_class.DESCRIPTOR, request):
        assert binding.field_at(spell(names), request) == path


@given(st.sampled_from([*BINDINGS]), st.text(max_size=60))
@example("SpeakText", "/" * 50)
@example("SpeakText", "[[[]]]...")
@example("SpeakText", "%")
@example("SpeakText", "/voice_settings/" + "a/" * 500)
@example("ListConferences", "/filter/0/1")
@example("SpeakText", "/call_control_ids/٣")
def test_any_text_is_a_path_or_nothing_and_no_crash(rpc: str, pointer: str) -> None:
    path = BINDINGS[rpc].field_at(pointer, BINDINGS[rpc].request_class())

    assert len(path) <= 2 * len(pointer)
