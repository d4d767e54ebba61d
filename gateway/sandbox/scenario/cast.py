"""Who takes part in a scenario, and how steps name them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.sandbox.scenario.problems import Problems, likely
from gateway.sandbox.scenario.script import Caller

# Callers of one scenario.
_CALLERS_MAX = 5_000

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_WORDS = ("from", "to", "connection_id", "count")


class Cast:
    """The callers of a scenario by name; those of a group are `staff-1`, `staff-2` and so on."""

    def __init__(self, scenario: str, declared: Any, problems: Problems) -> None:
        self._problems = problems
        self.callers: dict[str, Caller] = {}
        if not isinstance(declared, Mapping):
            problems.note("'calls' must be tables, such as [calls.alice]")
            return
        for name, value in declared.items():
            for caller in self._read(scenario, name, value):
                self.callers[caller.name] = caller
            if len(self.callers) > _CALLERS_MAX:
                problems.note(f"has more than {_CALLERS_MAX:,} callers; a scenario may have those")
                return

    def named(self, number: int, verb: str, word: str, value: Any) -> Sequence[Caller]:
        """Return the callers that a text or a list of texts names; `staff-*` names a group.

        What names nobody is noted as a mistake of the step.
        """
        names = value if isinstance(value, list) else [value]
        found: list[Caller] = []
        for name in names:
            if not isinstance(name, str):
                self._problems.at_step(number, verb, f"'{word}' must name calls", word)
                return ()
            matching = list(self._matching(name))
            if not matching:
                hint = likely(name, self._known())
                self._problems.at_step(number, verb, f"there is no call '{name}': {hint}", word)
            found += matching
        return found

    def _matching(self, name: str) -> Iterator[Caller]:
        if name in self.callers:
            yield self.callers[name]
        elif name.endswith("-*"):
            group = re.compile(rf"{re.escape(name[:-1])}\d+")
            yield from (it for it in self.callers.values() if group.fullmatch(it.name))

    def _known(self) -> set[str]:
        return {re.sub(r"-\d+$", "-*", it) for it in self.callers}

    def _read(self, scenario: str, name: str, value: Any) -> Iterator[Caller]:
        here = f"[calls.{name}]"
        if not _NAME.fullmatch(name):
            self._problems.note(f"{here}: the name may have a-z, 0-9 and - between them")
            return
        if not isinstance(value, Mapping):
            self._problems.note(f"{here} must be a table")
            return
        for word in value:
            if word not in _WORDS:
                self._problems.note(f"{here} takes no '{word}': {likely(word, _WORDS)}")
        texts = {it: value.get(it) for it in ("from", "to", "connection_id")}
        for word, text in texts.items():
            if text is not None and not isinstance(text, str):
                self._problems.note(f"{here}: '{word}' must be a text, got {text!r}")
                return
        count = value.get("count")
        if count is None:
            names = [name]
        elif type(count) is int and 1 <= count <= _CALLERS_MAX:
            names = [f"{name}-{number}" for number in range(1, count + 1)]
        else:
            self._problems.note(f"{here}: 'count' must be 1 to {_CALLERS_MAX:,}, got {count!r}")
            return
        for it in names:
            id_ = f"v3:{scenario}-{it}"
            yield Caller(it, id_, texts["from"], texts["to"], texts["connection_id"])
