"""How a parameter of an operation is described, and the check of one value against it.

The descriptions themselves are in `operations`; they are compared with the provider's own client
library by a test, so that the sandbox accepts what the provider accepts and no more.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

Kind = Literal["string", "integer", "number", "boolean", "strings", "loop", "object"]
Form = Literal["", "base64", "dtmf", "time"]

DTMF: Final = re.compile(r"[0-9A-Da-d*#wW]+")
"""Tones, and w and W for pauses of half a second and a second."""

LOOP_LIMIT: Final = 100
"""Most repetitions the provider takes as a number; beyond that there is ``infinity``."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name in the request, what it holds, and what is allowed in it."""

    name: str
    kind: Kind = "string"
    required: bool = False
    choices: tuple[str, ...] = ()
    """Texts allowed; empty allows every text."""
    minimum: int | None = None
    """Least value of an integer, or fewest characters of a string."""
    maximum: int | None = None
    """Greatest value of an integer, or most characters of a string."""
    form: Form = ""
    variants: tuple[tuple[str, tuple[Parameter, ...]], ...] = ()
    """For an object: its fields by the value of its ``type``."""
    open_when: tuple[str, str] | None = None
    """``choices`` do not bind when this other parameter begins with this text."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a value, and where below the parameter."""

    detail: str
    missing: bool = False
    below: str = ""


def faults(parameter: Parameter, value: Any, beside: Mapping[str, Any]) -> Iterator[Fault]:
    """Everything wrong with ``value``; ``beside`` are the other parameters of the request."""
    match parameter.kind:
        case "string":
            yield from _text_faults(parameter, value, beside)
        case "integer":
            yield from _integer_faults(parameter, value)
        case "number":
            if isinstance(value, bool) or not isinstance(value, int | float):
                yield Fault(f"must be a number, got {_shown(value)}")
        case "boolean":
            if not isinstance(value, bool):
                yield Fault(f"must be true or false, got {_shown(value)}")
        case "strings":
            yield from _list_faults(value)
        case "loop":
            yield from _loop_faults(value)
        case "object":
            yield from _object_faults(parameter, value)


def from_query(parameter: Parameter, text: str) -> Any:
    """Read a query text as the value it stands for; left as it is when it stands for none."""
    if parameter.kind == "integer" and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if parameter.kind == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def instant(text: str) -> float:
    """Seconds since the epoch for an ISO 8601 text; without an offset it is taken as UTC.

    Raises ``ValueError`` when the text is no time.
    """
    # A "+" that was not percent-encoded arrives as a blank.
    moment = datetime.fromisoformat(re.sub(r" (\d\d:?\d\d)$", r"+\1", text))
    if moment.tzinfo is None:
        moment = datetime.fromisoformat(moment.isoformat() + "+00:00")
    return moment.timestamp()


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _text_faults(parameter: Parameter, value: Any, beside: Mapping[str, Any]) -> Iterator[Fault]:
    if not isinstance(value, str):
        yield Fault(f"must be a string, got {_shown(value)}")
        return
    if parameter.choices and value not in parameter.choices and not _is_open(parameter, beside):
        yield Fault(f"must be one of {', '.join(parameter.choices)}, got {_shown(value)}")
    if parameter.minimum is not None and len(value) < parameter.minimum:
        yield Fault(f"must have at least {parameter.minimum} characters, got {len(value)}")
    if parameter.maximum is not None and len(value) > parameter.maximum:
        yield Fault(f"must have at most {parameter.maximum} characters, got {len(value)}")
    if parameter.form == "base64" and not _is_base64(value):
        yield Fault(f"must be base64, got {_shown(value)}")
    if parameter.form == "dtmf" and not DTMF.fullmatch(value):
        yield Fault(f"may hold 0-9, A-D, *, #, w and W, got {_shown(value)}")
    if parameter.form == "time" and not _is_time(value):
        yield Fault(f"must be an ISO 8601 time, got {_shown(value)}")


def _integer_faults(parameter: Parameter, value: Any) -> Iterator[Fault]:
    if isinstance(value, bool) or not isinstance(value, int):
        yield Fault(f"must be an integer, got {_shown(value)}")
        return
    if parameter.minimum is not None and value < parameter.minimum:
        yield Fault(f"must be at least {parameter.minimum}, got {value}")
    if parameter.maximum is not None and value > parameter.maximum:
        yield Fault(f"must be at most {parameter.maximum}, got {value}")


def _list_faults(value: Any) -> Iterator[Fault]:
    if not isinstance(value, list):
        yield Fault(f"must be a list of strings, got {_shown(value)}")
        return
    for index, item in enumerate(value):
        if not isinstance(item, str):
            yield Fault(f"must be a string, got {_shown(item)}", below=f"/{index}")


def _loop_faults(value: Any) -> Iterator[Fault]:
    # The provider's own library types this as text or number, so "3" counts as 3.
    counts = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}", value):
        counts = True
    if value != "infinity" and not (counts and 1 <= int(value) <= LOOP_LIMIT):
        yield Fault(f"must be 1 to {LOOP_LIMIT} or 'infinity', got {_shown(value)}")


def _object_faults(parameter: Parameter, value: Any) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield Fault(f"must be an object, got {_shown(value)}")
        return
    kind = value.get("type")
    if kind is None:
        yield Fault("is required", missing=True, below="/type")
        return
    variants = dict(parameter.variants)
    if not isinstance(kind, str) or kind not in variants:
        known = ", ".join(variants)
        yield Fault(f"must be one of {known}, got {_shown(kind)}", below="/type")
        return
    for inner in variants[kind]:
        if value.get(inner.name) is not None:
            for fault in faults(inner, value[inner.name], value):
                yield Fault(fault.detail, fault.missing, f"/{inner.name}{fault.below}")


def _is_open(parameter: Parameter, beside: Mapping[str, Any]) -> bool:
    if parameter.open_when is None:
        return False
    other, prefix = parameter.open_when
    return str(beside.get(other, "")).lower().startswith(prefix.lower())


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _is_time(text: str) -> bool:
    try:
        instant(text)
    except (ValueError, OverflowError):
        return False
    return True
