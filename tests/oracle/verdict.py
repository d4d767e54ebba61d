"""All guarantees by name, and the verdict over a history."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tests.oracle import guarantees, losses, storage
from tests.oracle.history import Stream
from tests.oracle.model import Model

Check: TypeAlias = Callable[[Model, Sequence[Stream]], Iterable[str]]

GUARANTEES: dict[str, Check] = {
    check.__name__: check
    for check in (
        guarantees.ordered,
        guarantees.unique,
        guarantees.reliable,
        guarantees.resumable,
        guarantees.bookmarkable,
        guarantees.filter_correct,
        guarantees.truthful,
        guarantees.identical,
        guarantees.undisturbed,
        losses.loud,
        losses.starts_where_asked,
        losses.drained,
        losses.bounded,
        storage.durable,
    )
}


@dataclass(frozen=True, slots=True)
class Violation:
    guarantee: str
    text: str

    def __str__(self) -> str:
        return f"{self.guarantee}: {self.text}"


def violations(model: Model, streams: Sequence[Stream]) -> list[Violation]:
    return [
        Violation(name, text)
        for name, check in GUARANTEES.items()
        for text in check(model, streams)
    ]
