"""The SDK's model of each webhook."""

from typing import Any

from telnyx.types import unwrap_webhook_event

from tests.conformance.sdk_types import is_model, members, model_in, texts_in


def models_by_type() -> dict[str, Any]:
    """Return the models of `data` in webhooks, by event type; some models share one."""
    models: dict[str, Any] = {}
    for wrapped in members(unwrap_webhook_event.UnwrapWebhookEvent):
        fields = wrapped.model_fields
        data = fields["data"].annotation if "data" in fields else wrapped
        for model in filter(is_model, members(data)):
            event_type = model.model_fields.get("event_type")
            for text in texts_in(event_type.annotation) if event_type else ():
                models.setdefault(text, model)
    return models


def payload_of(model: Any) -> Any:
    return model_in(model.model_fields["payload"].annotation)
