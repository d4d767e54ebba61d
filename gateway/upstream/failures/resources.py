"""Resources: what was not found, by what the provider says and what the request names."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from gateway.details import Resource
from gateway.schema.descriptors import fields_of
from gateway.upstream.failures.errorbody import ProviderError
from gateway.upstream.failures.subjects import SentenceSubject, kind_of_field, kinds_in, subjects

# What is named like a thing of the provider's, but made up by the caller.
_MADE_UP = frozenset({"command_id", "custom_file_name", "gather_id"})


class _Named(NamedTuple):
    """Something that a request names: the proto path of the field, the kind and the value."""

    path: str
    kind: str
    value: str


class Resources:
    """Tells what is missing when the provider responds with 404. Compiled once from a request.

    `path_fields` are those that stand in the path of the REST operation, in its order.
    """

    __slots__ = ("_kinds", "_path_fields")

    def __init__(self, request_class: type[Message], path_fields: Sequence[str]) -> None:
        self._path_fields = tuple(path_fields)
        self._kinds = {
            field.name: kind
            for field in fields_of(request_class)
            if field.type == FieldDescriptor.TYPE_STRING
            and field.name not in _MADE_UP
            and (kind := kind_of_field(field.name))
        }

    def missing(self, request: Any, error: ProviderError, field: str) -> Resource | None:
        """Return what was not found, or None if that is not certain.

        `field` is the proto path of the field that the provider points at, empty if it does not.
        It is certain where the provider points at one thing, or its words have one thing as the
        subject that is not there. Where they have none, it is the one thing in the request's
        path, if the request names nothing beside it and the provider speaks of nothing else.
        """
        named = list(self._named(request))
        pointed = [it for it in named if field in (it.path, it.path.partition("[")[0])]
        if len(pointed) == 1:
            return _resource(pointed)
        values = [it.value for it in named]
        texts = (error.title, error.detail)
        found = {subject for text in texts for subject in subjects(text, values)}
        if found:
            agreeing = pointed or named
            for subject in found:
                agreeing = [it for it in agreeing if _is(subject, it)]
            return _resource(agreeing)
        if field or any(it.path not in self._path_fields for it in named):
            return None
        mentioned = {kind for text in texts for kind in kinds_in(text, values)}
        return _resource(named) if mentioned <= {it.kind for it in named} else None

    def _named(self, request: Any) -> Iterator[_Named]:
        for name, kind in self._kinds.items():
            value = getattr(request, name)
            if isinstance(value, str):
                if value:
                    yield _Named(name, kind, value)
            else:
                for index, one in enumerate(value):
                    yield _Named(f"{name}[{index}]", kind, one)


def _is(subject: SentenceSubject, it: _Named) -> bool:
    """Tell whether a subject may be something that a request names."""
    if not subject.kinds and not subject.values:
        return False
    return (not subject.kinds or it.kind in subject.kinds) and (
        not subject.values or it.value in subject.values
    )


def _resource(found: Sequence[_Named]) -> Resource | None:
    return Resource(found[0].kind, found[0].value) if len(found) == 1 else None
