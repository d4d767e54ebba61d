"""How an event is printed: as text for people, as JSON, or by a template."""

from collections.abc import Callable, Iterator
from string import Formatter
from typing import Any, TypeAlias

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from conferencing.v1.event_pb2 import Event
from gateway.client.event_text import EventText, shown
from gateway.client.message_text import text_of

Form: TypeAlias = Callable[[Event], str]
"""Makes the line of an event."""

_TEMPLATE = "template="


def form_of(text: str, event_text: EventText) -> Form:
    """Return the form that `json`, `text` or `template=...` names. Raises ValueError."""
    if text == "text":
        return event_text.line
    if text == "json":
        return lambda event: MessageToJson(event, indent=None)
    if text.startswith(_TEMPLATE):
        return _templated(text.removeprefix(_TEMPLATE))
    raise ValueError(f"{text!r} is not text, json or template=...")


def _templated(template: str) -> Form:
    """Return the form of a template such as `{type} {conference_id}`."""
    parts = list(Formatter().parse(template))
    for _, name, spec, conversion in parts:
        if conversion or (spec and "{" in spec):
            raise ValueError(f"{{{name}}} can have a width, as in {{type:<40}}, and no more")
        if name is not None:
            _checked(name, spec or "")
    return lambda event: "".join(_pieces(parts, event))


def _checked(name: str, spec: str) -> None:
    kind: Any = Event.DESCRIPTOR
    for step in name.split("."):
        field = None if kind is None else kind.fields_by_name.get(step)
        if field is None:
            raise ValueError(f"{{{name}}} is no field of an event: see `describe Event`")
        kind = field.message_type
    try:
        format("", spec)
    except ValueError:
        raise ValueError(f"{{{name}:{spec}}} has no width such as <40") from None


def _pieces(parts: list[Any], event: Event) -> Iterator[str]:
    for literal, name, spec, _ in parts:
        yield literal
        if name is not None:
            yield format(_value(event, name), spec)


def _value(message: Message, name: str) -> str:
    first, _, rest = name.partition(".")
    field: Any = message.DESCRIPTOR.fields_by_name[first]
    value = getattr(message, first)
    if rest:
        return _value(value, rest)
    if field.is_repeated:
        return ",".join(text_of(field, it) for it in value)
    if field.message_type is not None and not message.HasField(first):
        return ""
    return shown(text_of(field, value))
