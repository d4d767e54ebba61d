"""Subjects: each event has one of its own, made of its id, so that a second one is refused."""

import re
from hashlib import blake2b

# What a subject's part may be made of without a question (docs.nats.io, "subject-based messaging"),
# and how long it may be so that no server minds.
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")

# Two ids of one such digest are as likely as two equal ids made at random.
_DIGEST_BYTES = 16


def events_of(stream: str) -> str:
    """Return the subjects of all events of a stream."""
    return f"{stream}.*"


def event_of(stream: str, event_id: str) -> str:
    """Return the subject of an event. An id that no subject can have is told by its digest."""
    if _PLAIN.fullmatch(event_id):
        return f"{stream}.{event_id}"
    # The sign is in no plain id.
    return f"{stream}.={blake2b(event_id.encode(), digest_size=_DIGEST_BYTES).hexdigest()}"


def part_of(name: str) -> str:
    """Return a text as one part of a key: letters, digits, `_` and `-`, the rest by its bytes."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda it: _escaped(it[0]), name)


def _escaped(character: str) -> str:
    return "".join(f"={byte:02X}" for byte in character.encode())
