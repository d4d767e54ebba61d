"""JSON as it comes: what no strict reader takes is read all the same, as far as it can be.

Webhooks, and the provider's log of them, hold whatever people and other servers wrote: a text cut
in the middle of an emoji, a number beyond every type, a hundred brackets. To refuse the document
for it would lose everything else in it. So:

* half of a surrogate pair, and bytes that are not UTF-8, become U+FFFD;
* a number that no 64-bit type holds (1e400, an integer of twenty digits or more, `NaN`) becomes a
  `NumberText`: what was written, as text;
* what is nested deeper than `DEPTH_MAX` becomes null;
* a byte order mark and control characters in texts are taken; of one name in an object, the last.
"""

import json
import re
from math import isfinite
from typing import Any, NamedTuple

import orjson

from gateway.codec.json_text import cut_below, decoded

# Objects and lists within each other. Far more than any message shows (readers of protobuf stop at
# 100 messages), and few enough for the standard library's recursive reader.
DEPTH_MAX = 128

# Integers that 64 bits hold, and the length in characters that none of them exceeds.
_INTEGERS = range(-(2**63), 2**64)
_CHARACTERS_MAX = 20

# The fast reader makes a double of an integer of more than 64 bits. Such a one stands after a
# character that structures the document; where it stands in a text, nothing is lost but time.
_HUGE_INTEGER = re.compile(rb"(?:^|[\[:,\s])(?:-\d{19}|\d{20})")

# What such an integer looks like when digits and signs are all made ones. To look for that takes
# a tenth of the time of the pattern above, which every webhook would pay.
_DIGITS = bytes(character in b"-0123456789" for character in range(256))
_HUGE = b"\1" * _CHARACTERS_MAX


class NumberText(str):
    """A number that no 64-bit type holds, as it was written."""

    __slots__ = ()


class Reading(NamedTuple):
    """The value of a document, and whether U+FFFD stands in it for what is not Unicode."""

    value: Any
    repaired: bool


def parse(raw: bytes) -> Any:
    """Return the value of a document for a reader that names what its fields cannot hold.

    As the standard library reads it, and with it the provider's own SDK; only numbers beyond 64
    bits are `NumberText`. Texts may hold half of a surrogate pair, which no protobuf string can.
    Raises ValueError if it is not JSON.
    """
    try:
        return orjson.loads(raw)
    except ValueError:
        pass
    try:
        return json.loads(raw, **_NUMBERS)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read(raw: bytes) -> Reading:
    """Read a document. Raises ValueError if it is not JSON by any measure."""
    try:
        value = orjson.loads(raw)
    except ValueError:
        return _leniently(raw)
    return Reading(value, False) if is_plain(raw) else _leniently(raw)


def is_plain(raw: bytes) -> bool:
    """Tell whether a document that a strict reader takes holds no integer of more than 64 bits."""
    return _HUGE not in raw.translate(_DIGITS) or _HUGE_INTEGER.search(raw) is None


def _leniently(raw: bytes) -> Reading:
    text, whole = decoded(raw)
    value = json.loads(cut_below(text, DEPTH_MAX), strict=False, **_NUMBERS)
    repair = _Repair()
    value = repair.of(value)
    return Reading(value, repair.needed or not whole)


def _integer(digits: str) -> "int | NumberText":
    # Python itself refuses thousands of digits.
    value = int(digits) if len(digits) <= _CHARACTERS_MAX else None
    return value if value is not None and value in _INTEGERS else NumberText(digits)


def _fraction(text: str) -> "float | NumberText":
    value = float(text)
    return value if isfinite(value) else NumberText(text)


_NUMBERS: Any = {
    "parse_int": _integer,
    "parse_float": _fraction,
    "parse_constant": NumberText,
}


class _Repair:
    """Makes Unicode of the texts in a value."""

    def __init__(self) -> None:
        self.needed = False

    def of(self, value: Any) -> Any:
        if type(value) is str:
            # Nearly all are; asking is quicker than converting.
            if value.isascii():
                return value
            whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            self.needed |= whole != value
            return whole
        if isinstance(value, list):
            return [self.of(item) for item in value]
        if isinstance(value, dict):
            return {self.of(name): self.of(item) for name, item in value.items()}
        return value
