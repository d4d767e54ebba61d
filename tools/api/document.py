"""The whole document, made from the SDK that is installed."""

import json
from collections.abc import Iterator
from typing import Any

import telnyx
from telnyx.types import UnwrapWebhookEvent

from tools.api.documentation import Schema
from tools.api.hints import members_of, texts_of
from tools.api.operations import Recorder, operation_of
from tools.api.schemas import Schemas
from tools.api.scope import METHODS, RESOURCES, is_ours

# The most characters of a line of the file, where there is a choice.
_LINE = 100


def document() -> Schema:
    """Return the OpenAPI document of the installed SDK."""
    schemas = Schemas()
    paths: dict[str, Schema] = {}
    with Recorder() as recorder:
        names = [*METHODS, *(it for one in RESOURCES for it in recorder.methods_of(one))]
        for name in names:
            path, method, operation = operation_of(recorder, name, schemas)
            paths.setdefault(path, {})[method] = operation
    webhooks = {event_type: _webhook(schemas.of(model)) for event_type, model in sorted(_events())}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Telnyx conferences, queues and webhook deliveries",
            "version": telnyx.__version__,
            "description": "Generated from the Python package telnyx: do not edit, run `make api`.",
        },
        "paths": paths,
        "webhooks": webhooks,
        "components": {"schemas": dict(sorted(schemas.components.items()))},
    }


def text_of(document: Schema) -> str:
    """Return a document as it is written to a file: what fits on a line stands on one."""
    return _written(document, "", 0) + "\n"


def _written(value: Any, indent: str, before: int) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(indent) + before + len(text) < _LINE:
        return text
    deeper = indent + " "
    if isinstance(value, list):
        lines = [_written(it, deeper, 0) for it in value]
        opening, closing = "[]"
    else:
        names = [f"{json.dumps(it)}: " for it in value]
        lines = [
            name + _written(it, deeper, len(name))
            for name, it in zip(names, value.values(), strict=True)
        ]
        opening, closing = "{}"
    return f"{opening}\n{deeper}" + f",\n{deeper}".join(lines) + f"\n{indent}{closing}"


def _events() -> Iterator[tuple[str, Any]]:
    """Return the types of our events, each with the model of the webhook's `data`."""
    for webhook in members_of(UnwrapWebhookEvent):
        fields = webhook.model_fields
        # Most models hold nothing but `data`; the others are what it would hold.
        inner = members_of(fields["data"].annotation) if "data" in fields else [webhook]
        for model in inner:
            field = getattr(model, "model_fields", {}).get("event_type")
            for event_type in texts_of(field.annotation) if field else ():
                if is_ours(event_type):
                    yield event_type, model


def _webhook(data: Schema) -> Schema:
    schema = {"type": "object", "properties": {"data": data}}
    return {"post": {"requestBody": {"content": {"application/json": {"schema": schema}}}}}
