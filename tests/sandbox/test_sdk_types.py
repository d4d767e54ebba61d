"""The sandbox's parameters against the types of the provider's own library.

`api.json` is read from the signatures of the library's methods and from what they send. Here the
same is read from the typed dictionaries of parameters, which the methods do not mention.
"""

from __future__ import annotations

import collections.abc
import importlib
import typing
from typing import Any

import pytest
import typing_extensions
from telnyx._utils import PropertyInfo

from gateway.sandbox.execution import HANDLERS
from gateway.sandbox.operations import Operation, load_operations
from tests.harness.schemas import Shape, shape_of_schema, variants_of

OPERATIONS = load_operations()

PARAMS: dict[str, str | None] = {
    "conferences.create": "conference_create_params.ConferenceCreateParams",
    "conferences.list": "conference_list_params.ConferenceListParams",
    "conferences.retrieve": "conference_retrieve_params.ConferenceRetrieveParams",
    "conferences.list_participants": (
        "conference_list_participants_params.ConferenceListParticipantsParams"
    ),
    "conferences.retrieve_participant": None,
    "conferences.update_participant": (
        "conference_update_participant_params.ConferenceUpdateParticipantParams"
    ),
    "queues.create": "queue_create_params.QueueCreateParams",
    "queues.list": "queue_list_params.QueueListParams",
    "queues.retrieve": None,
    "queues.update": "queue_update_params.QueueUpdateParams",
    "queues.delete": None,
    "queues.calls.list": "queues.call_list_params.CallListParams",
    "queues.calls.retrieve": None,
    "queues.calls.update": "queues.call_update_params.CallUpdateParams",
    "queues.calls.remove": None,
    "webhook_deliveries.list": "webhook_delivery_list_params.WebhookDeliveryListParams",
    "webhook_deliveries.retrieve": None,
}
"""Where the library keeps an operation's parameters; ``None`` when it has none but the path's.

Those of actions are where their names say.
"""


def library_type(operation: Operation) -> Any:
    resource, _, stem = operation.id.rpartition(".actions.")
    if resource:
        name = "".join(part.capitalize() for part in stem.split("_"))
        where: str | None = f"{resource}.action_{stem}_params.Action{name}Params"
    else:
        where = PARAMS[operation.id]
    if where is None:
        return None
    module, _, name = where.rpartition(".")
    return getattr(importlib.import_module(f"telnyx.types.{module}"), name)


def stripped(hint: Any) -> tuple[Any, bool, str | None]:
    """A hint without its wrappings: what it is, whether required, its name on the wire."""
    required, alias = False, None
    while True:
        origin = typing.get_origin(hint)
        if origin in (typing.Required, typing_extensions.Required):
            required, hint = True, typing.get_args(hint)[0]
        elif origin is typing.Annotated:
            alias = next(
                (one.alias for one in hint.__metadata__ if isinstance(one, PropertyInfo)), alias
            )
            hint = typing.get_args(hint)[0]
        elif origin is typing.Union and type(None) in typing.get_args(hint):
            rest = [one for one in typing.get_args(hint) if one is not type(None)]
            hint = typing.Union[tuple(rest)]  # noqa: UP007 - made from a list
        else:
            return hint, required, alias


def kind_of(hint: Any) -> tuple[str, frozenset[str]]:
    origin = typing.get_origin(hint)
    if origin in (typing.Literal, typing_extensions.Literal):
        return "string", frozenset(typing.get_args(hint))
    if origin is typing.Union:
        members = typing.get_args(hint)
        if all(typing_extensions.is_typeddict(one) for one in members):
            return "object", frozenset()
        if set(members) == {str, int}:
            return "loop", frozenset()
        # Text, or one of these texts: a set the provider may extend.
        assert str in members, hint
        return "string", frozenset()
    if origin is collections.abc.Sequence:
        assert typing.get_args(hint) == (str,)
        return "strings", frozenset()
    kinds = {str: "string", int: "integer", float: "number", bool: "boolean"}
    return kinds[hint], frozenset()


def expected(typed: Any, path: frozenset[str], prefix: str = "") -> Shape:
    shape: Shape = {}
    for name, hint in typing_extensions.get_type_hints(typed, include_extras=True).items():
        bare, required, alias = stripped(hint)
        wire = alias or name
        if not prefix and name in path:
            continue
        if typing_extensions.is_typeddict(bare):
            shape |= expected(bare, path, prefix + (f"[{wire}]" if prefix else wire))
            continue
        kind, choices = kind_of(bare)
        shape[f"{prefix}[{wire}]" if prefix else wire] = (kind, required, choices)
    return shape


def placeholders(operation: Operation) -> frozenset[str]:
    return frozenset(part[1:-1] for part in operation.path.split("/") if part.startswith("{"))


def test_each_operation_is_carried_out() -> None:
    ids = [one.id for one in OPERATIONS]

    of_deliveries = ["webhook_deliveries.list", "webhook_deliveries.retrieve"]
    assert sorted(ids) == sorted([*HANDLERS, *of_deliveries])


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.id)
def test_parameters_are_those_of_the_library(operation: Operation) -> None:
    typed = library_type(operation)

    wanted = {} if typed is None else expected(typed, placeholders(operation))

    found = shape_of_schema(operation.body) | shape_of_schema(operation.query)
    if operation.id == "conferences.actions.speak":
        # Soniox voices open the list of languages, so it stands beside the properties.
        found |= shape_of_schema(operation.body["else"])
    assert found == wanted


def test_voice_settings_are_those_of_the_library() -> None:
    speak = next(one for one in OPERATIONS if one.id == "conferences.actions.speak")
    hint = typing_extensions.get_type_hints(library_type(speak), include_extras=True)
    variants: dict[str, Shape] = {}
    for member in typing.get_args(stripped(hint["voice_settings"])[0]):
        shape = expected(member, frozenset())
        kind, required, choices = shape.pop("type")
        assert (kind, required, len(choices)) == ("string", True, 1)
        variants[next(iter(choices))] = shape

    assert variants_of(speak.body["properties"]["voice_settings"]) == variants
