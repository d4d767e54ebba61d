"""Scopes: what a method is about, compiled once from its descriptors.

The first thing in the path of its REST operation is what it acts on; what follows in the path is a
part of that, and the provider looks for it there. All else that a request names is something of its
own: a call that joins a conference need not have been in it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.callers.kinds import Kind, Kinds

M = TypeVar("M", bound=Message)

# Where conferences are hosted, which requests that name one say in a field of this name.
_REGION = "region"


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of things of one kind that do not stand below another thing.

    `items` is the response's field, `field` the item's that names the thing, and `chosen_by` the
    fields that lead to the request's condition on it, empty if there is none.
    """

    kind: Kind
    items: str
    field: str
    chosen_by: tuple[str, ...] = ()

    def chosen(self, request: Any) -> str:
        """Return what a request asks for by that condition, empty if nothing."""
        holder, name = self._holder(request)
        return str(getattr(holder, name))

    def choose(self, request: M, value: str) -> M:
        """Return the request with that condition."""
        copy = type(request)()
        copy.CopyFrom(request)
        holder, name = self._holder(copy)
        setattr(holder, name, value)
        return copy

    def keep(self, response: Any, allowed: frozenset[str]) -> bool:
        """Take out of a response what is not among some values; tells whether there was such."""
        items = getattr(response, self.items)
        kept = [it for it in items if getattr(it, self.field) in allowed]
        if len(kept) == len(items):
            return False
        del items[:]
        items.extend(kept)
        return True

    def _holder(self, request: Any) -> tuple[Any, str]:
        *path, name = self.chosen_by
        for step in path:
            request = getattr(request, step)
        return request, name


@dataclass(frozen=True, slots=True)
class Scope:
    """What a method is about. The fields are those of its request that name something.

    `is_known` is false if that cannot be told: then no bound caller may call it.
    """

    conferences: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    listing: Listing | None = None
    has_region: bool = False
    is_known: bool = True

    @classmethod
    def compile(
        cls,
        request_class: type[Message],
        response_class: type[Message],
        path: Sequence[str],
        kinds: Kinds,
    ) -> "Scope":
        """Compile a method's scope; `path` are the fields in the path of its REST operation."""
        request = cast("Descriptor", request_class.DESCRIPTOR)
        response = cast("Descriptor", response_class.DESCRIPTOR)
        fields = list(request.fields)
        scope = cls(has_region=_REGION in request.fields_by_name)
        for field in fields:
            if field.name in path[1:]:
                continue
            match kinds.of(field):
                case Kind.CONFERENCE:
                    scope = replace(scope, conferences=(*scope.conferences, field.name))
                case Kind.CALL:
                    scope = replace(scope, calls=(*scope.calls, field.name))
                case Kind.QUEUE:
                    scope = replace(scope, queues=(*scope.queues, field.name))
                case None if not kinds.names_a_thing(field):
                    continue
                case _:
                    return replace(scope, is_known=False)
        if path:
            by_kind = (*scope.conferences, *scope.calls, *scope.queues)
            return replace(scope, is_known=path[0] in by_kind and not _is_hidden(fields, kinds))
        if scope.conferences or scope.calls or scope.queues:
            return replace(scope, is_known=not _is_hidden(fields, kinds))
        listing = _listing(request, response, kinds)
        return replace(scope, listing=listing, is_known=listing is not None)

    def named(self, request: Any, fields: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield what a request names in some fields, each with its path."""
        for name in fields:
            value = getattr(request, name)
            if isinstance(value, str):
                if value:
                    yield name, value
            else:
                yield from ((f"{name}[{index}]", it) for index, it in enumerate(value))


def _is_hidden(fields: Sequence[FieldDescriptor], kinds: Kinds) -> bool:
    """Whether something is named within a message of a request, where nobody would look."""
    return any(_names_something(it.message_type, kinds, set()) for it in fields if it.message_type)


def _names_something(message: Descriptor, kinds: Kinds, seen: set[str]) -> bool:
    if message.full_name in seen:
        return False
    seen.add(message.full_name)
    return any(
        kinds.names_a_thing(field)
        or (field.message_type is not None and _names_something(field.message_type, kinds, seen))
        for field in message.fields
    )


def _listing(request: Descriptor, response: Descriptor, kinds: Kinds) -> Listing | None:
    for field in response.fields:
        if field.is_repeated and field.message_type is not None:
            found = kinds.of_item(field.message_type, (Kind.CONNECTION, Kind.QUEUE))
            if found is None:
                return None
            kind, name = found
            chosen_by = _condition(request, kind, kinds)
            # All conferences of an account cannot be told from a page which are whose.
            if kind is Kind.CONNECTION and not chosen_by:
                return None
            return Listing(kind, field.name, name, chosen_by)
    return None


def _condition(request: Descriptor, kind: Kind, kinds: Kinds) -> tuple[str, ...]:
    for field in request.fields:
        if field.message_type is not None and not field.is_repeated:
            for inner in field.message_type.fields:
                if inner.name == kinds.key(kind).name and not inner.is_repeated:
                    return field.name, inner.name
    return ()
