"""Pointers: where in a request the provider sees a fault, as a path of proto fields.

The provider's contract says JSON pointer (RFC 6901), and names of query parameters. What comes is
more than that: `/filter[status]`, `filter[from]`, `/page/size`, `call_control_ids.0`, `/body/mute`,
`#/voice_settings/speed`, `$.call_control_ids[0]`. All of it is read as a sequence of names and
indexes, and followed through the request's descriptor.

The path that comes out is that of `google.rpc.BadRequest`: names joined by dots, indexes in
brackets (`call_control_ids[0]`), as this gateway's own checks write it. What no field is known
for stays as the provider wrote it, behind the part that is known.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from google.protobuf.descriptor import Descriptor, FieldDescriptor, OneofDescriptor

from gateway.schema.annotations import discriminator, rest_name
from gateway.schema.descriptors import message_type

# What may stand before the name of a top-level field: parts of an HTTP request and of JSON:API's
# documents, from which the provider's error format comes.
_PARTS = frozenset({"attributes", "body", "data", "params", "path", "query", "request"})

# The provider's names for the position in a list, and the fields that stand for them here.
_PAGING = {
    "page.size": "page_size",
    "page_size": "page_size",
    "page.number": "page_token",
    "page_number": "page_token",
    "page": "page_token",
}

# The deepest path that is read: requests are three levels deep.
_NAMES_MAX = 16

_SEPARATORS = re.compile(r"""[.\[\]"']+""")


class Pointers:
    """Reads pointers into one kind of request. Compiled once from the request's descriptor.

    `path_fields` are those that stand in the path of the REST operation. The provider calls the
    first of them `id` where it is the id of a conference.
    """

    __slots__ = ("_root",)

    def __init__(self, request: Descriptor, path_fields: Sequence[str]) -> None:
        root = _Message.compile(request)
        aliases: dict[str, _Field] = {}
        fields = {field.name: field for field in root.fields.values()}
        if "page_token" in fields:
            aliases |= {theirs: fields[ours] for theirs, ours in _PAGING.items()}
        if path_fields:
            aliases["id"] = fields[path_fields[0]]
        self._root = _Message({**aliases, **root.fields}, root.choices)

    def proto_path(self, pointer: str, request: Any) -> str:
        """Return the path of the field that a pointer means, empty if it means no field.

        The request tells which member of a oneof is meant where several have the field.
        """
        names = _names(pointer)
        while len(names) > 1 and names[0] in _PARTS and not self._root.finds(names):
            del names[0]
        return _joined(self._root.follow(names, request))


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    inside: "_Message | None"


@dataclass(frozen=True, slots=True)
class _Choice:
    """A oneof whose members' fields stand beside its neighbours in JSON."""

    chosen: Callable[[Any], str | None]
    members: Mapping[str, "_Message"]


@dataclass(frozen=True, slots=True)
class _Message:
    # By REST name; by proto name where that is another and nobody's REST name.
    fields: Mapping[str, _Field]
    # By the name of the discriminator.
    choices: Mapping[str, _Choice]

    @classmethod
    def compile(cls, descriptor: Descriptor) -> "_Message":
        by_proto: dict[str, _Field] = {}
        by_rest: dict[str, _Field] = {}
        for field in descriptor.fields:
            compiled = _Field(field.name, _inside(field))
            by_proto[field.name] = compiled
            if not discriminator(field.containing_oneof):
                by_rest[rest_name(field)] = compiled
        choices = {
            discriminator(oneof): _choice(oneof)
            for oneof in descriptor.oneofs
            if discriminator(oneof)
        }
        return cls({**by_proto, **by_rest}, choices)

    def finds(self, names: Sequence[str]) -> bool:
        return self._field(names) is not None

    def follow(self, names: Sequence[str], message: Any) -> list[str]:
        """Return proto names as far as they are known, and the given ones from there on."""
        if not names:
            return []
        found = self._field(names)
        if found is None:
            return self._follow_choice(names, message)
        field, rest = found
        indexes: list[str] = []
        while rest and rest[0].isdecimal():
            indexes.append(rest[0])
            rest = rest[1:]
        if field.inside is None or indexes:
            return [field.name, *indexes, *rest]
        return [field.name, *field.inside.follow(rest, getattr(message, field.name, None))]

    def _field(self, names: Sequence[str]) -> tuple[_Field, Sequence[str]] | None:
        # A name may hold dots of its own, so the longest one that is known counts.
        for length in range(len(names), 0, -1):
            field = self.fields.get(".".join(names[:length]))
            if field is not None:
                return field, names[length:]
        return None

    def _follow_choice(self, names: Sequence[str], message: Any) -> list[str]:
        for key, choice in self.choices.items():
            chosen = choice.chosen(message) if message is not None else None
            if names[0] == key:
                return [chosen] if chosen else []
            holders = [name for name, inside in choice.members.items() if inside.finds(names)]
            if chosen in holders:
                holders = [chosen]
            if len(holders) == 1:
                (holder,) = holders
                inner = choice.members[holder].follow(names, getattr(message, holder, None))
                return [holder, *inner]
        return list(names)


def _inside(field: FieldDescriptor) -> _Message | None:
    if field.type != FieldDescriptor.TYPE_MESSAGE:
        return None
    return _Message.compile(message_type(field))


def _choice(oneof: OneofDescriptor) -> _Choice:
    members = {field.name: _Message.compile(message_type(field)) for field in oneof.fields}
    name = oneof.name
    return _Choice(lambda message: message.WhichOneof(name), members)


def _names(pointer: str) -> list[str]:
    """Return the names and indexes of a pointer in any spelling."""
    text = pointer.strip().removeprefix("$").removeprefix("#")
    names: list[str] = []
    for token in text.split("/"):
        # RFC 6901: `~1` first, so that `~01` becomes `~1`.
        plain = unquote(token).replace("~1", "/").replace("~0", "~")
        names += [name for name in _SEPARATORS.split(plain) if name]
    return names[:_NAMES_MAX]


def _joined(names: Sequence[str]) -> str:
    path = ""
    for name in names:
        if name.isdecimal() and path:
            path += f"[{name}]"
        else:
            path += f".{name}" if path else name
    return path
