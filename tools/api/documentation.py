"""Limits that the SDK states only in words: sentences of its documentation as JSON schema.

What a type cannot hold (a length, a range, a format) stands in the text of a parameter. These
sentences are recognised wherever they occur, with whatever numbers they name; what they say is
added to the schema of the parameter.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

Schema = dict[str, Any]
Reading = Callable[[re.Match[str], Schema], Schema]

_NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5}


def _number(text: str) -> int:
    return _NUMBERS.get(text) or int(text.replace(",", ""))


def _lengths(match: re.Match[str], schema: Schema) -> Schema:
    return schema | {"minLength": _number(match[1]), "maxLength": _number(match[2])}


def _range(match: re.Match[str], schema: Schema) -> Schema:
    return schema | {"minimum": _number(match[1]), "maximum": _number(match[2])}


def _shortest(match: re.Match[str], schema: Schema) -> Schema:
    return schema | {"minLength": _number(match[1])}


def _longest(match: re.Match[str], schema: Schema) -> Schema:
    return schema | {"maxLength": _number(match[1])}


def _number_or_word(match: re.Match[str], schema: Schema) -> Schema:
    number = {"type": "integer", "minimum": _number(match[1]), "maximum": _number(match[2])}
    return {"anyOf": [number, {"type": "string", "enum": [match[3]]}]}


def _format(name: str) -> Reading:
    return lambda match, schema: schema | {"format": name}


# `byte` is OpenAPI's name for base64; `dtmf` is ours.
_SENTENCES: Mapping[str, Reading] = {
    r"must be between (\d+) and (\d+) characters": _lengths,
    r"must be between (\d+) and (\d+)(?! characters)\b": _range,
    r"([\d,]+) character limit": _longest,
    r"maximum (\d+) characters": _longest,
    r"requires at least (\w+) characters": _shortest,
    r"must be an integer between (\d+) and (\d+), or the special string `(\w+)`": _number_or_word,
    r"must be a valid base-64 encoded string": _format("byte"),
    r"given iso 8601 datetime": _format("date-time"),
    r"valid characters: 0-9, a-d, \S+ #, w \(0\.5s pause\), w \(1s pause\)": _format("dtmf"),
}


def with_limits(schema: Schema, documentation: str) -> Schema:
    """Return the schema of a parameter with the limits that its documentation states."""
    text = " ".join(documentation.split())
    for sentence, reading in _SENTENCES.items():
        match = re.search(sentence, text, re.IGNORECASE)
        if match is not None:
            schema = reading(match, schema)
    return schema


def of_arguments(docstring: str) -> dict[str, str]:
    """Return what a docstring in Google's style says of each argument, by name."""
    _, _, section = docstring.partition("\nArgs:\n")
    texts: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        start = re.match(r"  (\w+): (.*)", line)
        if start is not None:
            name, texts[start[1]] = start[1], start[2]
        elif name:
            texts[name] += "\n" + line
    return texts
