"""Type hints of the SDK as JSON schema."""

import typing
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel

from tools.api.documentation import Schema, with_limits
from tools.api.hints import is_typed_dict, keys_of, members_of, texts_of

_PLAIN: Mapping[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
    object: {},
    Any: {},
}

# The package of the models that are worth a name in the document.
_MODELS = "telnyx.types."


class HintError(TypeError):
    """A hint that has no schema here; the text names it."""


class Schemas:
    """Makes schemas of hints. What it meets of the SDK's models is collected in `components`.

    The schemas do not tell absent from null: the SDK declares nearly everything as both.
    """

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}

    def of(self, hint: Any) -> Schema:
        """Return the schema of a hint. Raises HintError."""
        members = members_of(hint)
        texts = texts_of(hint)
        others = [it for it in members if not texts_of(it)]
        if texts and others in ([], [str]):
            # Beside `str` the texts are those that are known today.
            known = "examples" if others else "enum"
            return {"type": "string", known: texts}
        if len(members) == 1:
            return self._of_one(members[0])
        if members and all(is_typed_dict(it) for it in members):
            return self._variants(members)
        return {"anyOf": [self.of(it) for it in members]}

    def _of_one(self, hint: Any) -> Schema:
        if hint in _PLAIN:
            return dict(_PLAIN[hint])
        if is_typed_dict(hint):
            return self._dictionary(hint)
        if isinstance(hint, type) and issubclass(hint, BaseModel):
            return self._model(hint)
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return {"type": "object", "additionalProperties": self.of(arguments[1])}
        if isinstance(origin, type) and issubclass(origin, Sequence):
            return {"type": "array", "items": self.of(arguments[0])}
        raise HintError(f"no schema for {hint!r}")

    def _dictionary(self, hint: Any) -> Schema:
        keys = keys_of(hint).values()
        return _object(
            {it.wire_name: with_limits(self.of(it.hint), it.documentation) for it in keys},
            [it.wire_name for it in keys if it.is_required],
        )

    def _variants(self, hints: Sequence[Any]) -> Schema:
        """Return the schema of dictionaries that a required text tells apart."""
        branches = [self._dictionary(it) for it in hints]
        for name in branches[0]["properties"]:
            tags = [it["properties"].get(name, {}).get("enum", []) for it in branches]
            if all(len(tag) == 1 for tag in tags) and name in branches[0].get("required", ()):
                return {
                    **_object({name: {"enum": [tag[0] for tag in tags]}}, [name]),
                    "discriminator": {"propertyName": name},
                    "oneOf": branches,
                }
        return {"anyOf": branches}

    def _model(self, model: type[BaseModel]) -> Schema:
        if not model.__module__.startswith(_MODELS):
            return self._fields(model)
        name = f"{model.__module__.removeprefix(_MODELS)}.{model.__qualname__}"
        if name not in self.components:
            self.components[name] = {}  # a model may hold itself
            self.components[name] = self._fields(model)
        return {"$ref": f"#/components/schemas/{name}"}

    def _fields(self, model: type[BaseModel]) -> Schema:
        fields = {(it.alias or name): it for name, it in model.model_fields.items()}
        return _object(
            {name: self.of(it.annotation) for name, it in fields.items()},
            [name for name, it in fields.items() if it.is_required()],
        )


def _object(properties: Mapping[str, Schema], required: Sequence[str]) -> Schema:
    schema: Schema = {"type": "object", "properties": dict(properties)}
    return schema | {"required": list(required)} if required else schema
