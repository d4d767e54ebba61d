"""Query strings in the provider's style: nested objects as `filter[a][b]=value`."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode


def query_parameters(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the parameters of a JSON object: booleans as words, nested names in brackets."""
    for name, value in values.items():
        yield from _parameters(name, value)


def query_string(parameters: list[tuple[str, str]]) -> str:
    """Return the query string with its question mark, empty if there are no parameters."""
    return "?" + urlencode(parameters) if parameters else ""


def _parameters(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, nested in value.items():
            yield from _parameters(f"{name}[{key}]", nested)
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    else:
        yield name, str(value)
