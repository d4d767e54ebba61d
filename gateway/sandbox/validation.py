"""The check of a whole request against its operation: everything wrong is reported at once."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.sandbox.errors import Problem, RefusedError
from gateway.sandbox.operations import Operation
from gateway.sandbox.schema_checks import SchemaChecker


@dataclass(frozen=True, slots=True)
class Arguments:
    """What an operation was called with, checked. Absent and null are the same."""

    path: Mapping[str, str]
    body: Mapping[str, Any]
    query: Mapping[str, Any]


class Validation:
    """Checks requests for any of the operations, whose schemas are compiled once."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._checkers = {
            it.id: (SchemaChecker(it.body), SchemaChecker(it.query)) for it in operations
        }

    def check(
        self,
        operation: Operation,
        path: Mapping[str, str],
        body: Mapping[str, Any],
        query: Mapping[str, str],
    ) -> Arguments:
        """Return the arguments of a request, without those that the operation does not know.

        Raises RefusedError with every missing and every wrong parameter.
        """
        of_body, of_query = self._checkers[operation.id]
        given = dict(_given(of_body.properties, body))
        sent = dict(_given(of_query.properties, query))
        sent = {name: _from_text(of_query.properties[name], it) for name, it in sent.items()}
        problems: list[Problem] = [*of_body.problems(given), *of_query.problems(sent)]
        if problems:
            raise RefusedError(problems)
        return Arguments(path, given, sent)


def _given(known: Iterable[str], values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in known:
        if values.get(name) is not None:
            yield name, values[name]


def _from_text(schema: Mapping[str, Any], text: str) -> Any:
    """Return the value that a text of a query stands for; the text itself if it stands for none."""
    if schema.get("type") == "integer" and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if schema.get("type") == "boolean" and text in ("true", "false"):
        return text == "true"
    return text
