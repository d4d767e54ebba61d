"""The model: what the log should hold, by what its poster was told. Knows nothing of the gateway.

What cannot be known at a moment (a post in flight, a deletion under way) is kept as a range from
what must be to what may be, so that no verdict depends on who of two threads was first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fields:
    """What an event can be asked for by."""

    type: str
    conference_id: str = ""
    queue_name: str = ""
    call_control_id: str = ""
    call_session_id: str = ""
    connection_id: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter by the words of the proto: each field that is not empty must hold."""

    types: tuple[str, ...] = ()
    conference_ids: tuple[str, ...] = ()
    queue_names: tuple[str, ...] = ()
    call_control_ids: tuple[str, ...] = ()
    call_session_ids: tuple[str, ...] = ()
    connection_ids: tuple[str, ...] = ()

    def by_value(self, fields: Fields) -> list[tuple[tuple[str, ...], str]]:
        """Return, for every field but the type, what is wanted beside what there is."""
        return [
            (self.conference_ids, fields.conference_id),
            (self.queue_names, fields.queue_name),
            (self.call_control_ids, fields.call_control_id),
            (self.call_session_ids, fields.call_session_id),
            (self.connection_ids, fields.connection_id),
        ]

    def matches(self, fields: Fields) -> bool:
        return self._type_matches(fields.type) and all(
            not wanted or value in wanted for wanted, value in self.by_value(fields)
        )

    def concerns(self, fields: Fields) -> bool:
        """Whether a sleeper with this filter may be woken by the event at all.

        It may if they have one value in common in a field that the filter limits. Prefixes of
        types are no values: with nothing but those, every event may wake.
        """
        limited = [(wanted, value) for wanted, value in self.by_value(fields) if wanted]
        if limited:
            return any(value in wanted for wanted, value in limited)
        if self.types and not any(it.endswith("*") for it in self.types):
            return fields.type in self.types
        return True

    def _type_matches(self, type_: str) -> bool:
        return not self.types or any(
            type_.startswith(it[:-1]) if it.endswith("*") else type_ == it for it in self.types
        )


@dataclass(frozen=True, slots=True)
class Posted:
    """An event as its provider has it: the same for every delivery of one id.

    `content` is the encoded event without its place in the log.
    """

    id: str
    fields: Fields
    content: bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """An event in the log, and when the gateway said that it received it."""

    event: Posted
    received_at_us: int


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the log at a moment: its newest event and how far it has been deleted.

    The newest event has a number from `newest` to `possible`; everything up to `pruned` has been
    deleted for certain, and nothing after `planned`. Of `settled` everybody has heard.
    """

    newest: int
    possible: int
    pruned: int
    planned: int
    settled: int = 0


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A post that was answered 2xx, and what was known then."""

    event: Posted
    received_at_us: int
    sequence: int
    duplicate: bool
    known: Known


@dataclass(frozen=True, slots=True)
class Row:
    """A stored event as it was found on disk, by other code than the gateway's."""

    sequence: int
    id: str
    received_at_us: int
    event: bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class Audit:
    """What was on disk at a moment at which nothing was in flight."""

    rows: Sequence[Row]
    pruned_through: int
    # What is wrong with the file itself, by SQLite's own check; empty if nothing is.
    damage: str
    must_hold: dict[int, str]
    known: Known


@dataclass(frozen=True, slots=True)
class Deletion:
    """A prune that ended: how far it should have gone, and how far it went."""

    from_: int
    should: int
    did: int


@dataclass
class Era:
    """The life of one log, from its making to its replacement."""

    epoch: bytes
    stored: dict[int, Stored] = field(default_factory=dict)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    audits: list[Audit] = field(default_factory=list)
    deletions: list[Deletion] = field(default_factory=list)
    # Posts without an answer: (event, received at). What was posted at all may be on disk.
    in_flight: list[tuple[Posted, int]] = field(default_factory=list)
    posted: dict[str, Posted] = field(default_factory=dict)
    newest: int = 0
    pruned: int = 0
    planned: int = 0
    # The newest event when nothing moved the last time.
    settled: int = 0
    # Every place that a deletion ended or may have ended at, and the beginning.
    floors: set[int] = field(default_factory=lambda: {0})
    # Whether another log was to take its place.
    replaced: bool = False
    refused: int = 0
    crashes: int = 0

    @property
    def known(self) -> Known:
        possible = self.newest + len(self.in_flight)
        return Known(self.newest, possible, self.pruned, self.planned, self.settled)

    def post(self, event: Posted, received_at_us: int) -> None:
        self.in_flight.append((event, received_at_us))
        self.posted[event.id] = event

    def acknowledge(
        self, event: Posted, received_at_us: int, sequence: int, *, duplicate: bool
    ) -> None:
        self.in_flight.remove((event, received_at_us))
        self.acknowledged.append(
            Acknowledged(event, received_at_us, sequence, duplicate, self.known)
        )
        if not duplicate:
            self.stored.setdefault(sequence, Stored(event, received_at_us))
        self.newest = max(self.newest, sequence)

    def refuse(self, event: Posted, received_at_us: int, *, in_doubt: bool = False) -> None:
        """Take note of a post that was not answered 2xx; one `in_doubt` may be stored at any time.

        So it counts as in flight until somebody knows better.
        """
        self.refused += 1
        if not in_doubt:
            self.in_flight.remove((event, received_at_us))

    def plan_deletion(self, before_us: int, now_us: int) -> int:
        """Return how far a deletion of what was received before a moment should go.

        Always a beginning: the first event that is to be kept stops it. One from the future is
        passed with what follows it.
        """
        floor = number = self.pruned
        while held := self.stored.get(number := number + 1):
            if held.received_at_us < before_us:
                floor = number
            elif held.received_at_us <= now_us:
                break
        self.planned = max(self.planned, floor)
        self.floors.add(floor)
        return floor

    def delete(self, should: int, count: int) -> None:
        self.deletions.append(Deletion(self.pruned, should, self.pruned + count))
        self.pruned += count
        self.floors.add(self.pruned)
        self.planned = max(self.planned, self.pruned)

    def crash(self) -> None:
        """Nobody will answer what is in flight now."""
        self.crashes += 1
        self.in_flight.clear()

    def audit(self, rows: Sequence[Row], pruned_through: int, damage: str = "") -> None:
        """Take over what was found on disk as what is known; whether it may be is judged later."""
        must_hold = {
            number: held.event.id for number, held in self.stored.items() if number > self.planned
        }
        self.audits.append(Audit(rows, pruned_through, damage, must_hold, self.known))
        for row in rows:
            event = self.posted.get(row.id)
            if event is not None:
                self.stored.setdefault(row.sequence, Stored(event, row.received_at_us))
        self.newest = max(self.newest, pruned_through, *(row.sequence for row in rows))
        self.pruned = max(self.pruned, pruned_through)
        self.planned = self.pruned
        self.floors.add(pruned_through)


class Model:
    """All logs that there were, one after the other."""

    def __init__(self) -> None:
        self.eras: list[Era] = []

    @property
    def era(self) -> Era:
        return self.eras[-1]

    def begin(self, epoch: bytes) -> None:
        self.eras.append(Era(epoch))

    def era_of(self, epoch: bytes) -> Era:
        return next(era for era in self.eras if era.epoch == epoch)
