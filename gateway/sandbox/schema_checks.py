"""JSON schema checked by `jsonschema`, and its errors as the sandbox tells them."""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError, validators

from gateway.sandbox.clock import instant
from gateway.sandbox.errors import INVALID_PARAMETER, MISSING_PARAMETER, Problem

# The most characters of a value that an error shows.
_SHOWN_MAX = 60

# Tones, and w and W for pauses of half a second and a second.
_DTMF = re.compile(r"[0-9A-Da-d*#wW]+")

_FORMATS = FormatChecker(formats=())

_TYPES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
}

_FORMAT_TEXTS = {
    "byte": "must be base64",
    "date-time": "must be an ISO 8601 time",
    "dtmf": "may hold 0-9, A-D, *, #, w and W",
}


class SchemaChecker:
    """Checks objects against one schema."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.properties: Mapping[str, Any] = schema["properties"]
        self._order = {name: index for index, name in enumerate(self.properties)}
        self._schema = schema
        self._validator = _Validator(schema, format_checker=_FORMATS)

    def problems(self, values: Mapping[str, Any]) -> list[Problem]:
        """Return what is wrong with the values, in the order in which the schema has them."""
        errors = self._validator.iter_errors(_without_nulls(values, self._schema))
        # Each missing property is an error of its own, and none of them says which it is.
        found = dict.fromkeys(
            problem for it in _foremost(map(_Violation.of, errors)) for problem in _problems(it)
        )
        return sorted(found, key=lambda it: self._order[_first(it)])


def _is_byte(value: object) -> bool:
    if isinstance(value, str):
        base64.b64decode(value, validate=True)
    return True


def _is_time(value: object) -> bool:
    if isinstance(value, str):
        instant(value)
    return True


def _is_dtmf(value: object) -> bool:
    return not isinstance(value, str) or _DTMF.fullmatch(value) is not None


_FORMATS.checks("byte", raises=ValueError)(_is_byte)
_FORMATS.checks("date-time", raises=(ValueError, OverflowError))(_is_time)
_FORMATS.checks("dtmf")(_is_dtmf)


def _is_integer(_: object, value: object) -> bool:
    # In JSON schema 2.0 is an integer as well. The provider's own types tell the two apart.
    return isinstance(value, int) and not isinstance(value, bool)


def _one_of(
    validator: Any, branches: Any, value: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """Check a value by the branch that its discriminator names.

    Whether there is one, and whether it names a branch, is for the schema beside it to say.
    """
    name = schema["discriminator"]["propertyName"]
    if isinstance(value, dict):
        for index, branch in enumerate(branches):
            if value.get(name) in branch["properties"][name]["enum"]:
                yield from validator.descend(value, branch, schema_path=index)


# Its stubs leave the function untyped.
_extend: Any = validators.extend

_Validator = _extend(
    Draft202012Validator,
    {"oneOf": _one_of},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


def _without_nulls(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a value whose properties are all there: null is the same as absent."""
    if not isinstance(value, Mapping) or "properties" not in schema:
        return value
    known = schema["properties"]
    return {
        name: _without_nulls(it, known.get(name, {}))
        for name, it in value.items()
        if it is not None
    }


@dataclass(frozen=True, slots=True)
class _Violation:
    """A keyword of a schema that a value does not meet."""

    # The names and numbers that lead to the value.
    path: tuple[str | int, ...]
    keyword: str
    limit: Any
    value: Any
    schema: Mapping[str, Any]

    @classmethod
    def of(cls, error: Any) -> "_Violation":
        return cls(
            tuple(error.absolute_path),
            error.validator,
            error.validator_value,
            error.instance,
            error.schema,
        )


def _foremost(violations: Iterable[_Violation]) -> Iterator[_Violation]:
    """Return the violations, of a value of the wrong type only that it is."""
    by_path: dict[tuple[str | int, ...], list[_Violation]] = {}
    for it in violations:
        by_path.setdefault(it.path, []).append(it)
    for found in by_path.values():
        of_type = [it for it in found if it.keyword == "type"]
        yield from of_type[:1] or found


def _problems(violation: _Violation) -> Iterator[Problem]:
    path = "/".join(map(str, violation.path))
    if violation.keyword != "required":
        detail = f"'{path}' {_detail(violation)}, got {_shown(violation)}."
        yield Problem(INVALID_PARAMETER, detail, f"/{path}")
        return
    for name in violation.limit:
        if name not in violation.value:
            missing = f"{path}/{name}" if path else name
            yield Problem(MISSING_PARAMETER, f"'{missing}' is required.", f"/{missing}")


def _first(problem: Problem) -> str:
    return (problem.pointer or "").split("/")[1]


def _detail(violation: _Violation) -> str:
    limit = violation.limit
    match violation.keyword:
        case "type" if limit == "array":
            return f"must be a list of {violation.schema['items']['type']}s"
        case "type":
            return f"must be {_TYPES[limit]}"
        case "enum":
            return f"must be one of {', '.join(limit)}"
        case "anyOf":
            return f"must be {' or '.join(_alternatives(limit))}"
        case "minimum":
            return f"must be at least {limit}"
        case "maximum":
            return f"must be at most {limit}"
        case "minLength":
            return f"must have at least {limit} characters"
        case "maxLength":
            return f"must have at most {limit} characters"
        case "format":
            return _FORMAT_TEXTS[limit]
    return f"must meet {violation.keyword} {limit}"


def _alternatives(branches: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for branch in branches:
        if "enum" in branch:
            yield from (f"'{text}'" for text in branch["enum"])
        elif "minimum" in branch:
            yield f"{branch['minimum']} to {branch['maximum']}"


def _shown(violation: _Violation) -> str:
    if violation.keyword in ("minLength", "maxLength"):
        return str(len(violation.value))
    text = repr(violation.value)
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 3] + "..."
