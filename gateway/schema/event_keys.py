"""What events are found by, as the protos declare it (options of `keys.proto`).

From here come the filter's fields, what is taken out of a webhook, what streams are woken by, the
log's columns, its index, the options of `tail` and a table in the documentation.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError

from conferencing.v1 import keys_pb2
from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import EventFilter

# Fields of `Event` that every webhook has beside its payload, or that the gateway adds.
_OF_EVERY_EVENT = frozenset({"id", "type", "cursor", "sequence", "traceparent"})


class KeyDeclarationError(Exception):
    """An option of `keys.proto` that makes no sense; the text names the field."""


@dataclass(frozen=True, slots=True)
class EventKey:
    """A key: a field of `Event`, and the field of `EventFilter` that chooses by it.

    `takes_prefixes` says whether a value may end in a star; `option` is that of `tail` without its
    dashes; `label` says for people what a value is.
    """

    name: str
    filter_field: str
    takes_prefixes: bool
    option: str
    label: str


def declared_keys(
    filter_type: Descriptor = EventFilter.DESCRIPTOR, event: Descriptor = Event.DESCRIPTOR
) -> tuple[EventKey, ...]:
    """Return the keys in their declared order, those that fewest events share first.

    Raises KeyDeclarationError.
    """
    keys = tuple(map(_key, _fields(filter_type)))
    known = {"type", *payload_names(event)}
    for key in keys:
        if key.name not in known:
            raise KeyDeclarationError(
                f"{filter_type.full_name}.{key.filter_field} chooses by {key.name!r}, which is"
                " neither the event's type nor taken from a payload"
            )
    for of in ("name", "option"):
        if len({getattr(key, of) for key in keys}) < len(keys):
            raise KeyDeclarationError(f"two keys of {filter_type.full_name} have the same {of}")
    return keys


def keys_of(body: bytes, keys: Sequence[EventKey]) -> tuple[str, ...]:
    """Return what an encoded `Event` can be asked for by, in the order of the keys.

    Raises ValueError for bytes that are no event.
    """
    try:
        event = Event.FromString(body)
    except DecodeError as error:
        raise ValueError("not an event") from error
    return tuple(str(getattr(event, key.name)) for key in keys)


def payload_names(event: Descriptor = Event.DESCRIPTOR) -> Mapping[str, Sequence[str]]:
    """Return which fields of `Event` are taken from payloads, each with its names there.

    A field of the same name comes first, then those that are declared to be it. Raises
    KeyDeclarationError.
    """
    found: dict[str, dict[str, None]] = {}
    for payload in event.oneofs_by_name["payload"].fields:
        for field in _fields(payload.message_type) if payload.message_type else ():
            name = field.GetOptions().Extensions[keys_pb2.event_field] or field.name
            target = event.fields_by_name.get(name)
            if target is None or target.type != field.type or name in _OF_EVERY_EVENT:
                if name != field.name:
                    raise KeyDeclarationError(
                        f"{field.full_name} is declared to be the event's {name}, which is no such"
                        " field of Event or has another type"
                    )
                continue
            found.setdefault(name, {name: None})[field.name] = None
    return {name: tuple(names) for name, names in found.items()}


def _fields(message: Descriptor) -> Iterator[FieldDescriptor]:
    yield from message.fields


def _key(field: FieldDescriptor) -> EventKey:
    if not field.GetOptions().HasExtension(keys_pb2.event_key):
        raise KeyDeclarationError(f"{field.full_name} has no option event_key")
    if field.type != field.TYPE_STRING or not field.is_repeated:
        raise KeyDeclarationError(f"{field.full_name} is a key, and not a repeated string")
    declared = field.GetOptions().Extensions[keys_pb2.event_key]
    if not (declared.field and declared.option and declared.label):
        raise KeyDeclarationError(f"{field.full_name} lacks field, option or label of its key")
    return EventKey(declared.field, field.name, declared.prefixes, declared.option, declared.label)
