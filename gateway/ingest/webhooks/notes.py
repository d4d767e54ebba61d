"""Notes: what of a webhook its event does not show as it was sent."""

from conferencing.v1.event_pb2 import EventNote, EventNoteReason

# The most notes of an event; a webhook that needs more needs thousands.
NOTES_MAX = 16

# The longest path, in characters: names in a payload may be of any length.
_PATH_MAX = 256


class Notes:
    """Collects the notes of one event."""

    __slots__ = ("_notes",)

    def __init__(self) -> None:
        self._notes: list[EventNote] = []

    def add(self, path: str, reason: EventNoteReason.ValueType) -> None:
        """Note a value by its path in the body."""
        if len(self._notes) < NOTES_MAX:
            self._notes.append(EventNote(path=path[:_PATH_MAX], reason=reason))

    @property
    def first(self) -> list[EventNote]:
        """The first of them, as many as an event has."""
        return self._notes

    @property
    def reasons(self) -> frozenset[EventNoteReason.ValueType]:
        """The reasons among them."""
        return frozenset(it.reason for it in self._notes)
