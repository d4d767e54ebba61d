"""From method and path to an operation.

Routing works on the path as it was sent, still percent-encoded: a queue may be called `a/b`,
which arrives as one segment `a%2Fb`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from gateway.sandbox.errors import METHOD_NOT_ALLOWED, NOT_FOUND, refusal
from gateway.sandbox.operations import Operation


@dataclass(frozen=True, slots=True)
class Match:
    """The operation a request is for, and the values in its path, decoded."""

    operation: Operation
    path: dict[str, str]


# What the paths of all operations begin with.
_BASE_PATH = "/v2"


class Routes:
    """All operations by the shape of their paths."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._by_length: dict[int, list[tuple[list[str], Operation]]] = {}
        for operation in operations:
            template = (_BASE_PATH + operation.path).split("/")
            self._by_length.setdefault(len(template), []).append((template, operation))

    def find(self, method: str, path: str) -> Match:
        """Return the operation for `path`, which is complete and still percent-encoded.

        Raises RefusedError: 404 when there is no such path, 405 when it takes other methods.
        """
        for values, operation in self._at(path):
            if operation.method == method:
                return Match(operation, values)
        if allowed := self.methods(path):
            raise refusal(METHOD_NOT_ALLOWED, f"'{path}' takes {', '.join(allowed)}, not {method}.")
        raise refusal(
            NOT_FOUND, f"There is nothing at '{path}'. Addresses begin with {_BASE_PATH}/."
        )

    def methods(self, path: str) -> list[str]:
        """Return the methods that `path` takes; empty if there is no such path."""
        return sorted({operation.method for _, operation in self._at(path)})

    def _at(self, path: str) -> Iterator[tuple[dict[str, str], Operation]]:
        segments = path.split("/")
        for template, operation in self._by_length.get(len(segments), ()):
            values = _values(template, segments)
            if values is not None:
                yield values, operation


def _values(template: list[str], segments: list[str]) -> dict[str, str] | None:
    values: dict[str, str] = {}
    for expected, found in zip(template, segments, strict=True):
        if expected.startswith("{"):
            if not found:
                return None
            values[expected[1:-1]] = unquote(found)
        elif expected != found:
            return None
    return values
