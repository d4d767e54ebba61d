"""Limits that the sandbox sets and the provider's SDK does not state, as JSON schema.

They are added to what `api.json` says of a parameter, and never replace it.
"""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

_TIME: Schema = {"format": "date-time"}

_LIMITS: Mapping[str, Schema] = {
    # Stated for the operation that creates a queue; another creates it too.
    "queue_name": {"minLength": 1, "maxLength": 255},
    # Nothing can have room for nobody, or last for no time.
    "max_size": {"minimum": 1},
    "max_wait_time_secs": {"minimum": 1},
    "duration_minutes": {"minimum": 1},
    "page[number]": {"minimum": 1},
    # The most that the provider puts on a page.
    "page[size]": {"minimum": 1, "maximum": 250},
    "filter[occurred_at][eq]": _TIME,
    "filter[occurred_at][gt]": _TIME,
    "filter[occurred_at][gte]": _TIME,
    "filter[occurred_at][lt]": _TIME,
    "filter[occurred_at][lte]": _TIME,
}

# The numbers of a `loop` as text: the SDK types it as text or number.
_LOOP_TEXT: Schema = {"type": "string", "pattern": r"^(0{0,2}[1-9]|0?[1-9][0-9]|100)\Z"}

# These voices take plain two-letter codes instead of the listed languages.
_SONIOX: Schema = {
    "properties": {"voice": {"type": "string", "pattern": r"^(?i:soniox)\."}},
    "required": ["voice"],
}


def with_limits(schema: Schema) -> Schema:
    """Return the schema of a body or a query with the sandbox's limits on its properties."""
    properties = {name: _LIMITS.get(name, {}) | it for name, it in schema["properties"].items()}
    if "anyOf" in properties.get("loop", ()):
        loop = properties["loop"]
        properties["loop"] = loop | {"anyOf": [*loop["anyOf"], _LOOP_TEXT]}
    limited = schema | {"properties": properties}
    if {"voice", "language"} <= properties.keys():
        language, properties["language"] = properties["language"], {"type": "string"}
        limited |= {"if": _SONIOX, "else": {"properties": {"language": language}}}
    return limited
