"""Looking into the SDK's annotations."""

import typing
from functools import cache
from typing import Any, Literal

import telnyx
import typing_extensions

NOTHING = (type(None), telnyx.Omit, telnyx.NotGiven)


def members(hint: Any) -> list[Any]:
    """Return what a hint may be, without what stands for nothing."""
    if typing_extensions.get_origin(hint) in (typing.Annotated, typing.Required):
        return members(typing.get_args(hint)[0])
    if typing.get_origin(hint) is typing.Union or isinstance(hint, _UNION):
        return [inner for it in typing.get_args(hint) for inner in members(it)]
    return [] if hint in NOTHING else [hint]


_UNION = type(int | str)


def may_be_none(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


def texts_in(hint: Any) -> tuple[str, ...]:
    """Return the texts of the Literals that a hint may be."""
    return tuple(
        text
        for it in members(hint)
        if typing.get_origin(it) is Literal
        for text in typing.get_args(it)
    )


@cache
def keys_of(typed: Any) -> dict[str, Any]:
    """Return the keys of a typed dictionary and their hints."""
    return typing_extensions.get_type_hints(typed)


def dictionaries_in(hint: Any) -> list[Any]:
    """Return the typed dictionaries that a hint may be."""
    return [it for it in members(hint) if typing_extensions.is_typeddict(it)]


def is_model(hint: Any) -> bool:
    return isinstance(hint, type) and hasattr(hint, "model_fields")


def model_in(hint: Any) -> Any:
    """Return the model that a hint is, or is a list of; None if there is none."""
    for it in members(hint):
        if is_model(it):
            return it
        inside = model_in(typing.get_args(it)[0]) if typing.get_origin(it) is list else None
        if inside is not None:
            return inside
    return None
