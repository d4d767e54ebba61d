"""Resources: what was not found, by what the provider says and what the request names."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.errors import Resource
from gateway.telnyx.errorbody import ProviderError

# A field whose name ends like this names something that the provider has ...
_NAMING = re.compile(r"(\w+?)_(?:ids?|name)")

# ... except what the caller makes up.
_MADE_UP = frozenset({"command_id", "custom_file_name", "gather_id"})


class _Named(NamedTuple):
    """Something that a request names: the proto path of the place, the kind and the value."""

    path: str
    kind: str
    value: str


class Resources:
    """Tells what is missing when the provider answers 404. Compiled once from a request's type.

    `path_fields` are those that stand in the path of the REST operation, in its order.
    """

    __slots__ = ("_kinds", "_path_fields")

    def __init__(self, request: Descriptor, path_fields: Sequence[str]) -> None:
        self._path_fields = tuple(path_fields)
        self._kinds = {
            field.name: _kind(match[1])
            for field in request.fields
            if field.type == FieldDescriptor.TYPE_STRING
            and field.name not in _MADE_UP
            and (match := _NAMING.fullmatch(field.name))
        }

    def missing(self, request: Any, error: ProviderError, place: str) -> Resource | None:
        """Return what was not found, or None if that is not certain.

        `place` is the proto path of the field that the provider points at, empty if it does not.
        In this order: what it points at, what its words name, and what the request's address
        leads to, if the request names nothing beside its address.
        """
        named = list(self._named(request))
        text = f"{error.title} {error.detail}"
        words = frozenset(re.findall(r"[a-z]+", text.lower()))
        tests: tuple[Callable[[_Named], bool], ...] = (
            lambda it: bool(place) and it.path == place,
            lambda it: bool(place) and it.path.partition("[")[0] == place,
            lambda it: _stands_in(it.value, text),
            lambda it: it.kind in words,
        )
        for test in tests:
            found = [it for it in named if test(it)]
            if len(found) == 1:
                return Resource(found[0].kind, found[0].value)
        if all(it.path in self._path_fields for it in named):
            # The last of them is in those before it: it is missing even if one of them is.
            last = self._path_fields[-1:]
            return next((Resource(it.kind, it.value) for it in named if it.path in last), None)
        if len(named) == 1:
            return Resource(named[0].kind, named[0].value)
        return None

    def _named(self, request: Any) -> Iterator[_Named]:
        for name, kind in self._kinds.items():
            value = getattr(request, name)
            if isinstance(value, str):
                if value:
                    yield _Named(name, kind, value)
            else:
                for index, one in enumerate(value):
                    yield _Named(f"{name}[{index}]", kind, one)


def _kind(stem: str) -> str:
    if stem.endswith("call_control"):
        return "call"
    return "media" if stem.endswith("media") else stem


def _stands_in(value: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None
