"""A method of the SDK as an operation: what it sends, seen from outside.

Each method is called once with a text of its own for every parameter. Where a text turns up in
the request (a segment of the path, a name in the query, a key of the body) is where the parameter
belongs, under the name that it has there.
"""

import inspect
import json
import operator
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import httpx
import telnyx

from tools.api.documentation import Schema, of_arguments, with_limits
from tools.api.hints import is_typed_dict, keys_of, members_of
from tools.api.schemas import Schemas

# What every method takes beside the operation's own parameters.
_OF_ANY_METHOD = frozenset({"extra_headers", "extra_query", "extra_body", "timeout", "return"})

_BASE_URL = "http://telnyx.invalid"


class UnreadableMethodError(Exception):
    """A method whose request does not show where its parameters belong; the text names it."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a method, or a key of one that is a dictionary."""

    hint: Any
    documentation: str
    is_required: bool


class Recorder:
    """A client of the SDK whose requests go nowhere. Use it as a context manager."""

    def __init__(self) -> None:
        self._requests: list[httpx.Request] = []
        self.client = telnyx.Telnyx(
            api_key="unused",
            base_url=_BASE_URL,
            max_retries=0,
            http_client=httpx.Client(transport=httpx.MockTransport(self._respond)),
        )

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def method(self, name: str) -> Any:
        """Return a method by its name below the client, such as `queues.create`."""
        return operator.attrgetter(name)(self.client)

    def methods_of(self, resource: str) -> Iterator[str]:
        """Return the names of a resource's methods, in the order of the source."""
        for name, value in vars(type(operator.attrgetter(resource)(self.client))).items():
            if inspect.isfunction(value) and not name.startswith("_"):
                yield f"{resource}.{name}"

    def request(self, name: str, arguments: Mapping[str, Any]) -> httpx.Request:
        """Call a method and return what it sent."""
        self._requests.clear()
        self.method(name)(**arguments)
        (request,) = self._requests
        return request

    def _respond(self, request: httpx.Request) -> httpx.Response:
        self._requests.append(request)
        return httpx.Response(200, json={})


def operation_of(recorder: Recorder, name: str, schemas: Schemas) -> tuple[str, str, Schema]:
    """Return the path, the HTTP method in lower case, and the OpenAPI operation of an SDK method.

    Raises UnreadableMethodError.
    """
    method = recorder.method(name)
    hints = {
        it: hint for it, hint in typing.get_type_hints(method).items() if it not in _OF_ANY_METHOD
    }
    parameters: dict[str, Parameter] = {}
    texts = of_arguments(inspect.getdoc(method) or "")
    signature = inspect.signature(method).parameters
    arguments = {
        it: _sample(
            it,
            Parameter(hint, texts.get(it, ""), signature[it].default is inspect.Parameter.empty),
            parameters,
        )
        for it, hint in hints.items()
    }
    request = recorder.request(name, arguments)
    by_sample = {_text(it): parameter for it, parameter in parameters.items()}

    path, in_path = request.url.path, []
    for it in hints:
        if _text(it) in path.split("/"):
            path = path.replace(_text(it), f"{{{it}}}")
            in_path.append(_parameter(it, "path", by_sample.pop(_text(it)), schemas))
    in_query = [
        _parameter(key, "query", by_sample.pop(sample), schemas)
        for key, sample in parse_qsl(request.url.query.decode())
    ]
    body = json.loads(request.content) if request.content else {}
    in_body = {key: by_sample.pop(sample) for key, sample in body.items()}
    if by_sample:
        raise UnreadableMethodError(f"{name} did not send {', '.join(by_sample)}")

    operation: Schema = {"operationId": name}
    if in_path or in_query:
        operation["parameters"] = in_path + in_query
    if request.method in ("POST", "PUT", "PATCH"):
        operation["requestBody"] = _content(_body(in_body, schemas))
    result = typing.get_type_hints(method)["return"]
    described = {} if result is type(None) else _content(schemas.of(result))
    operation["responses"] = {"2XX": {"description": "", **described}}
    return path, request.method.lower(), operation


def _text(name: str) -> str:
    # Only characters that a path, a query and a JSON text show as they are.
    return f"sample-of-{name}"


def _sample(name: str, parameter: Parameter, parameters: dict[str, Parameter]) -> Any:
    """Return what to give for a parameter, and note it, or its keys, in `parameters`."""
    members = members_of(parameter.hint)
    if len(members) != 1 or not is_typed_dict(members[0]):
        parameters[name] = parameter
        return _text(name)
    return {
        key: _sample(
            f"{name}.{key}", Parameter(it.hint, it.documentation, it.is_required), parameters
        )
        for key, it in keys_of(members[0]).items()
    }


def _parameter(name: str, place: str, parameter: Parameter, schemas: Schemas) -> Schema:
    schema = with_limits(schemas.of(parameter.hint), parameter.documentation)
    described: Schema = {"name": name, "in": place}
    if parameter.is_required:
        described["required"] = True
    return described | {"schema": schema}


def _body(parameters: Mapping[str, Parameter], schemas: Schemas) -> Schema:
    schema: Schema = {
        "type": "object",
        "properties": {
            name: with_limits(schemas.of(it.hint), it.documentation)
            for name, it in parameters.items()
        },
    }
    required = [name for name, it in parameters.items() if it.is_required]
    return schema | {"required": required} if required else schema


def _content(schema: Schema) -> Schema:
    return {"content": {"application/json": {"schema": schema}}}
