"""Kinds of things that callers are bound by, as the protos declare them: keys of events.

A field is known by its name: that of a key, that of the filter's field for it, or one that ends in
either (`whisper_call_control_ids`). So requests and responses need no declaration of their own.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.schema.event_keys import EventKey


class Kind(enum.Enum):
    """A kind of thing that bounds are about; its value is the declared option of its key."""

    CONNECTION = "connection"
    CONFERENCE = "conference"
    CALL = "call"
    QUEUE = "queue"


class MissingKindError(Exception):
    """No key of events is declared for a kind of thing; the text names it."""


class Kinds:
    """Tells which fields name which kind of thing. Raises MissingKindError at construction."""

    def __init__(self, keys: Sequence[EventKey]) -> None:
        by_option = {key.option: key for key in keys}
        missing = [kind.value for kind in Kind if kind.value not in by_option]
        if missing:
            raise MissingKindError(f"no key of events has the option {missing[0]!r}")
        self._kinds: Mapping[str, Kind] = {kind.value: kind for kind in Kind}
        self._named: Mapping[Kind, EventKey] = {kind: by_option[kind.value] for kind in Kind}
        # A type names no thing: it is searched by prefix, and no id is.
        self._things = [key for key in keys if not key.takes_prefixes]
        self._numbers = {key.name: number for number, key in enumerate(keys)}

    def key(self, kind: Kind) -> EventKey:
        """Return the key that events are found by for a kind of thing."""
        return self._named[kind]

    def number(self, kind: Kind) -> int:
        """Return the number of that key among the declared ones."""
        return self._numbers[self._named[kind].name]

    def names_a_thing(self, field: FieldDescriptor) -> bool:
        """Whether a field names something that events are found by, of whatever kind."""
        return self._key_of(field) is not None

    def of(self, field: FieldDescriptor) -> Kind | None:
        """Return the kind of thing that a field names, None if it names none of these."""
        key = self._key_of(field)
        return None if key is None else self._kinds.get(key.option)

    def of_item(self, item: Descriptor, kinds: Iterable[Kind]) -> tuple[Kind, str] | None:
        """Return of which of some kinds the items of a list are, and the field that tells.

        An item has a field of the key's own name (a conference its connection), or is the thing
        itself (a queue has a name, and a `queue_name` is the name of a queue).
        """
        of_item = item.name.lower()
        for kind in kinds:
            name = self.key(kind).name
            for field in item.fields:
                if name in (field.name, f"{of_item}_{field.name}"):
                    return kind, field.name
        return None

    def _key_of(self, field: FieldDescriptor) -> EventKey | None:
        if field.type != FieldDescriptor.TYPE_STRING:
            return None
        for key in self._things:
            for name in (key.name, key.filter_field):
                if field.name == name or field.name.endswith(f"_{name}"):
                    return key
        return None
