"""Type hints of the SDK, without their wrappings."""

import ast
import inspect
import types
import typing
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal

import telnyx
import typing_extensions
from telnyx._utils import PropertyInfo

_NOTHING = (type(None), telnyx.Omit, telnyx.NotGiven)
_UNIONS = (typing.Union, types.UnionType)
_LITERALS = (Literal, typing_extensions.Literal)
_REQUIRED = (typing.Required, typing_extensions.Required)


def members_of(hint: Any) -> list[Any]:
    """Return what a value of the hint may be, without what stands for an absent value."""
    origin = typing_extensions.get_origin(hint)
    if origin is typing.Annotated or origin in _REQUIRED:
        return members_of(typing.get_args(hint)[0])
    if origin in _UNIONS:
        return [inner for it in typing.get_args(hint) for inner in members_of(it)]
    return [] if hint in _NOTHING else [hint]


def texts_of(hint: Any) -> list[Any]:
    """Return the values of the Literals that a hint may be."""
    return [
        value
        for it in members_of(hint)
        if typing.get_origin(it) in _LITERALS
        for value in typing.get_args(it)
        if value is not None
    ]


def is_typed_dict(hint: Any) -> bool:
    """Tell whether a hint is a dictionary with declared keys."""
    return typing_extensions.is_typeddict(hint)


class Key(typing.NamedTuple):
    """A key of a typed dictionary."""

    # As it is sent.
    wire_name: str
    hint: Any
    is_required: bool
    documentation: str


def keys_of(typed_dict: Any) -> dict[str, Key]:
    """Return the keys of a typed dictionary by their Python names, in the order of the source."""
    documented = dict(_documented(typed_dict))
    hints = typing_extensions.get_type_hints(typed_dict, include_extras=True)
    return {
        name: Key(
            wire_name=next(_aliases(hint), name),
            hint=hint,
            is_required=name in typed_dict.__required_keys__ or _is_required(hint),
            documentation=documented.get(name, ""),
        )
        for name, hint in hints.items()
    }


def _is_required(hint: Any) -> bool:
    origin = typing_extensions.get_origin(hint)
    if origin in _REQUIRED:
        return True
    return origin is typing.Annotated and _is_required(typing.get_args(hint)[0])


def _aliases(hint: Any) -> Iterator[str]:
    origin = typing_extensions.get_origin(hint)
    if origin in _REQUIRED:
        yield from _aliases(typing.get_args(hint)[0])
    if origin is typing.Annotated:
        for extra in typing.get_args(hint)[1:]:
            if isinstance(extra, PropertyInfo) and extra.alias:
                yield extra.alias


def _documented(typed_dict: Any) -> Iterator[tuple[str, str]]:
    """Return names and texts: the SDK writes a text below the key that it is about."""
    for base in (*getattr(typed_dict, "__orig_bases__", ()), typed_dict):
        if not isinstance(base, type):
            continue
        try:
            (definition,) = ast.parse(inspect.getsource(base)).body
        except (OSError, TypeError, SyntaxError):
            continue
        body = getattr(definition, "body", [])
        for key, text in pairwise(body):
            match key, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(written))),
                ):
                    yield name, written
