r"""JSON as it comes: what no strict reader takes is read all the same, as far as it can be.

Webhooks, and the provider's log of them, hold whatever people and other servers wrote: a text cut
in the middle of an emoji, a number beyond every type, a hundred brackets. To refuse the document
for it would lose everything else in it. So:

* half of a surrogate pair becomes the six characters of its escape (`\ud83d`), a byte that is not
  UTF-8 four (`\xff`): texts that differ in nothing else stay different, which ids have to;
* a number that no 64-bit type holds as it was written (`1e400`, `1e-400`, `9007199254740993.0`, an
  integer of twenty digits or more, `NaN`) becomes a `NumberText`: what was written, as text;
* any other number with a fraction or an exponent becomes a `WrittenFloat`, whose text is what was
  written;
* what is nested deeper than `DEPTH_MAX` becomes null;
* a byte order mark and control characters in texts are taken; of one name in an object, the last.
"""

import json
import re
from decimal import Decimal
from math import isfinite
from typing import Any, NamedTuple

import orjson

from gateway.schema.json_text import cut_below, decoded

# Objects and lists within each other. Far more than any message shows (readers of protobuf stop at
# 100 messages), and few enough for the standard library's recursive reader.
DEPTH_MAX = 128

# Integers that 64 bits hold, and the length in characters that none of them exceeds.
_INTEGERS = range(-(2**63), 2**64)
_CHARACTERS_MAX = 20

# Values of a response. One takes twenty times as much in memory as `{},` does on the wire. The
# largest page has a tenth of it. Counted by commas, which texts hold, too.
VALUES_MAX = 200_000

_HALF_OF_A_PAIR = re.compile("[\ud800-\udfff]")


class NumberText(str):
    """A number that no 64-bit type holds, as it was written."""

    __slots__ = ()


class WrittenFloat(float):
    """A double that stands for a number as it was written, which is its text (`1e3`, `1.50`)."""

    __slots__ = ("_written",)
    _written: str

    def __new__(cls, written: str) -> "WrittenFloat":
        """Return the double that a number literal stands for."""
        number = super().__new__(cls, written)
        number._written = written
        return number

    def __str__(self) -> str:
        return self._written


class Document(NamedTuple):
    """The value of a document, and whether escapes stand in it for what is not Unicode."""

    value: Any
    repaired: bool


def parse(raw: bytes) -> Any:
    """Return the value of a document for a reader that names what its fields cannot hold.

    As the standard library reads it, and with it the provider's own SDK; only numbers beyond 64
    bits may be `NumberText`. A text may hold half of a surrogate pair, which no protobuf string
    can: as it was written, or for a byte that is not UTF-8 (PEP 383). What is nested deeper than a
    recursive reader goes becomes null. Raises ValueError if it is not JSON.
    """
    try:
        return orjson.loads(raw)
    except ValueError:
        pass
    encoding = json.detect_encoding(raw)
    try:
        text = raw.decode(encoding, "surrogatepass")
    except UnicodeDecodeError:
        text = raw.decode(encoding, "surrogateescape" if "utf-8" in encoding else "replace")
    try:
        return _parse(text)
    except RecursionError:
        return _parse(cut_below(text, DEPTH_MAX))


def has_too_many_values(raw: bytes) -> bool:
    """Tell whether a document, read, would take far more memory than it does as it is."""
    return len(raw) > VALUES_MAX and raw.count(b",") > VALUES_MAX


def _parse(text: str) -> Any:
    return json.loads(text, strict=False, parse_float=_finite, **_OTHER_NUMBERS)


def read(raw: bytes) -> Document:
    """Read a document. Raises ValueError if it is not JSON by any measure."""
    try:
        value = orjson.loads(raw)
    except ValueError:
        return _leniently(raw)
    return _leniently(raw) if has_double(value) else Document(value, False)


def has_double(value: Any) -> bool:
    """Tell whether there is a double in what a strict reader has made of a document.

    It makes one of each number with a fraction or an exponent, and of each integer of more than 64
    bits: of any other document it has kept every digit. To look at the values takes less time than
    to look for such numbers in the text.
    """
    values: list[Any] = [(value,)]
    while values:
        these = values.pop()
        these = these.values() if type(these) is dict else these
        types = set(map(type, these))
        if float in types:
            return True
        if dict in types or list in types:
            values += [it for it in these if type(it) is dict or type(it) is list]
    return False


def _leniently(raw: bytes) -> Document:
    text, whole = decoded(raw)
    shallow = cut_below(text, DEPTH_MAX)
    value = json.loads(shallow, strict=False, parse_float=_as_written, **_OTHER_NUMBERS)
    repair = _Repair()
    value = repair.of(value)
    return Document(value, repair.needed or not whole)


def _integer(digits: str) -> "int | NumberText":
    # Python itself refuses thousands of digits.
    value = int(digits) if len(digits) <= _CHARACTERS_MAX else None
    return value if value is not None and value in _INTEGERS else NumberText(digits)


def _finite(text: str) -> "float | NumberText":
    value = float(text)
    return value if isfinite(value) else NumberText(text)


def _as_written(text: str) -> "WrittenFloat | NumberText":
    value = WrittenFloat(text)
    return value if _stands_for(value, text) else NumberText(text)


def _stands_for(value: float, text: str) -> bool:
    """Tell whether a double, written in the fewest digits that mean it, is the number of a text."""
    shortest = float.__repr__(value)
    if shortest == text:
        return True
    if not isfinite(value):
        return False
    if value == 0:
        # What is too small for a double may have an exponent that is too much for decimals.
        return not text.lower().partition("e")[0].strip("-0.")
    return Decimal(shortest) == Decimal(text)


_OTHER_NUMBERS: Any = {"parse_int": _integer, "parse_constant": NumberText}


def _escape(half: re.Match[str]) -> str:
    return f"\\u{ord(half[0]):04x}"


class _Repair:
    """Makes Unicode of the texts in a value."""

    def __init__(self) -> None:
        self.needed = False

    def of(self, value: Any) -> Any:
        if type(value) is str:
            # Nearly all are; asking is quicker than converting.
            if value.isascii():
                return value
            whole, halves = _HALF_OF_A_PAIR.subn(_escape, value)
            self.needed |= halves > 0
            return whole
        if isinstance(value, list):
            return [self.of(item) for item in value]
        if isinstance(value, dict):
            return {self.of(name): self.of(item) for name, item in value.items()}
        return value
