"""The contract: all checks, by their names."""

from collections.abc import Iterator
from types import ModuleType

from tests.contract import (
    broadcast,
    checkpoints,
    framing,
    histories,
    journal,
    keys,
    lease,
    listening,
    many,
    paging,
    reading,
    retention,
    times,
)
from tests.contract.check import Check

_CONCEPTS = (
    journal,
    reading,
    paging,
    times,
    keys,
    listening,
    retention,
    framing,
    checkpoints,
    broadcast,
    lease,
    many,
    histories,
)


def _checks(module: ModuleType) -> Iterator[Check]:
    return (it for it in vars(module).values() if isinstance(it, Check))


CHECKS = {it.name: it for module in _CONCEPTS for it in _checks(module)}
