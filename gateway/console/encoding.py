"""Values in JSON, encoded once however many messages they are in."""

from typing import Any, TypeAlias

import orjson

# What is a part of a message as it is.
Encoded: TypeAlias = orjson.Fragment


def encoded(value: Any) -> Encoded:
    """Return a value in JSON."""
    return orjson.Fragment(orjson.dumps(value))
