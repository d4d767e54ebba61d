"""JSON documents as they come: strict ones quickly, and what other readers take as well.

RFC 8259 leaves readers free to accept more than it allows. What the standard library reads, and
with it the provider's own SDK, is read here, too: a byte order mark, UTF-16, half of a surrogate
pair, NaN and Infinity, numbers of any size. A name that stands twice in an object counts as it
stood last.
"""

import json
import math
from typing import Any, Final

import orjson


class Unrepresentable:
    """Stands for a number that no field can hold: NaN, Infinity, and what is beyond a double."""

    def __repr__(self) -> str:
        return "UNREPRESENTABLE"


UNREPRESENTABLE: Final = Unrepresentable()


def parse(body: bytes) -> Any:
    """Return the JSON value of a body. Raises ValueError if it is not JSON.

    Texts may hold half of a surrogate pair, which no protobuf string can.
    """
    try:
        return orjson.loads(body)
    except ValueError:
        pass
    try:
        return json.loads(
            body,
            parse_constant=lambda name: UNREPRESENTABLE,
            parse_float=_float,
            parse_int=_int,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _float(digits: str) -> Any:
    number = float(digits)
    return number if math.isfinite(number) else UNREPRESENTABLE


def _int(digits: str) -> Any:
    # As many digits as the largest double has, which is what anybody could make of them.
    return int(digits) if len(digits) <= 310 else UNREPRESENTABLE
