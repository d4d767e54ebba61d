"""The operations of the sandbox, read from `api.json`.

That file is made from the provider's own SDK (`make api`) and knows nothing of the gateway's
protos: what the two disagree on shows as a failing test.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypeAlias

import orjson

from gateway.sandbox.limits import with_limits

Schema: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One REST operation. `id` is its name in the SDK."""

    id: str
    method: str
    # Below `/v2`, with `{placeholders}`.
    path: str
    # JSON schemas of the body, and of the query as an object with a property for each parameter.
    body: Schema
    query: Schema

    @property
    def placeholders(self) -> Sequence[str]:
        """The names in braces in the path, in order."""
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def is_command(self) -> bool:
        """Whether executing it changes anything."""
        return self.method != "GET"

    @property
    def takes_command_id(self) -> bool:
        """Whether a retry within a minute is recognised and not executed again."""
        return "command_id" in self.body["properties"]


def load_operations() -> tuple[Operation, ...]:
    """Return all operations, with the sandbox's own limits; the order has no meaning."""
    document = orjson.loads(resources.files("gateway.sandbox").joinpath("api.json").read_bytes())
    return tuple(
        _operation(method, path, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    )


def _operation(method: str, path: str, described: Mapping[str, Any]) -> Operation:
    parameters = described.get("parameters", ())
    content = described.get("requestBody", {}).get("content", {})
    body = content.get("application/json", {}).get("schema", _object({}))
    return Operation(
        id=described["operationId"],
        method=method.upper(),
        path=path,
        body=with_limits(body),
        query=with_limits(_object(_in_query(parameters))),
    )


def _in_query(parameters: Iterable[Mapping[str, Any]]) -> Schema:
    return {it["name"]: it["schema"] for it in parameters if it["in"] == "query"}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}
