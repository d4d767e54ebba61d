"""The check of a whole request against its operation: everything wrong is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.sandbox.errors import INVALID_PARAMETER, MISSING_PARAMETER, Problem, Refused
from gateway.sandbox.operations import Operation
from gateway.sandbox.parameters import faults, from_query


@dataclass(frozen=True, slots=True)
class Arguments:
    """What an operation was called with, checked. Absent and ``null`` are the same."""

    path: Mapping[str, str]
    body: Mapping[str, Any]
    query: Mapping[str, Any]


def checked(
    operation: Operation,
    path: Mapping[str, str],
    body: Mapping[str, Any],
    query: Mapping[str, str],
) -> Arguments:
    """Check the arguments of a request; parameters the operation does not know are dropped.

    Raises `Refused` naming every missing and every wrong parameter.
    """
    problems: list[Problem] = []
    given = {
        name: from_query(one, query[name]) for one in operation.query if (name := one.name) in query
    }
    values: dict[str, Any] = {}
    for source, parameters in ((body, operation.body), (given, operation.query)):
        for one in parameters:
            value = source.get(one.name)
            if value is None:
                if one.required:
                    problems.append(
                        Problem(MISSING_PARAMETER, f"'{one.name}' is required.", f"/{one.name}")
                    )
                continue
            values[one.name] = value
            for fault in faults(one, value, source):
                place = one.name + fault.below
                code = MISSING_PARAMETER if fault.missing else INVALID_PARAMETER
                problems.append(Problem(code, f"'{place}' {fault.detail}.", f"/{place}"))
    if problems:
        raise Refused(problems)
    return Arguments(
        path,
        {one.name: values[one.name] for one in operation.body if one.name in values},
        {one.name: values[one.name] for one in operation.query if one.name in values},
    )
