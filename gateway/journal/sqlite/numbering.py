"""Numbering: events that are being stored get their numbers, their frames and their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.journal.events import Appended, Entry, Framed, NewEvent
from gateway.journal.format import Framing
from gateway.journal.sqlite.indexing import Member, member_of
from gateway.journal.sqlite.rows import Row, checksum_of
from gateway.schema.event_keys import EventKey


@dataclass(frozen=True, slots=True)
class Numbered:
    """What is to be stored of some events, and what became of each of them.

    `newest` is the last number given, `size_bytes` what is stored of the events.
    """

    results: Sequence[Appended]
    entries: Sequence[Entry]
    rows: Sequence[Row]
    members: Sequence[Member]
    newest: int
    size_bytes: int


class Numbering:
    """Numbers the events of a log with some framing and keys."""

    def __init__(self, framing: Framing, keys: Sequence[EventKey]) -> None:
        self._framing = framing
        self._keys = keys

    def numbered(
        self, events: Sequence[NewEvent], held: Mapping[str, int], newest: int
    ) -> Numbered:
        """Give numbers from `newest` on, but to those of which `held` has one already."""
        results: list[Appended] = []
        entries: list[Entry] = []
        rows: list[Row] = []
        members: list[Member] = []
        numbers = dict(held)
        sequence, size = newest, 0
        for event in events:
            known = numbers.get(event.id)
            if known is not None:
                results.append(Appended(known, duplicate=True))
                continue
            sequence += 1
            numbers[event.id] = sequence
            framed = self._framing.frame(sequence, event.body)
            frame, keys = b"".join(framed), event.keys
            entries.append(Entry(Framed(sequence, frame), keys, event.received_at_us))
            members.append(member_of(self._keys, sequence, keys))
            lengths = len(framed.head), len(framed.tail)
            found = (sequence, event.id, event.received_at_us, *keys)
            checksum = checksum_of(event.body, event.raw)
            rows.append((*found, *lengths, frame, event.raw, checksum))
            size += len(frame) + len(event.raw)
            results.append(Appended(sequence, duplicate=False))
        return Numbered(results, entries, rows, members, sequence, size)
