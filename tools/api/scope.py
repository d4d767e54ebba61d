"""What part of the provider's API the sandbox plays, by the SDK's names.

A method or an event that a new SDK adds to what is listed here becomes part of the document by
itself.
"""

# Resources of the client whose methods are all operations of ours.
RESOURCES = (
    "conferences",
    "conferences.actions",
    "queues",
    "queues.calls",
    "webhook_deliveries",
)

# Operations of ours on resources that have many more.
METHODS = ("calls.actions.enqueue", "calls.actions.leave_queue")

_EVENTS = frozenset({"call.enqueued", "call.dequeued"})
_EVENT_PREFIX = "conference."


def is_ours(event_type: str) -> bool:
    """Tell whether webhooks of a type are about conferences or queues."""
    return event_type in _EVENTS or event_type.startswith(_EVENT_PREFIX)
