"""From a step of a file to what is done: names become ids, and everything is checked."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.sandbox import faults
from gateway.sandbox.errors import RefusedError
from gateway.sandbox.events import EVENT_TYPES
from gateway.sandbox.faults import Fault, RequestFault
from gateway.sandbox.operations import Operation
from gateway.sandbox.scenario.cast import Cast
from gateway.sandbox.scenario.pace import one_line
from gateway.sandbox.scenario.problems import Problems, likely
from gateway.sandbox.scenario.script import (
    Caller,
    CallIn,
    Command,
    Deed,
    HangUp,
    Relief,
    Step,
    Talk,
    Trouble,
)
from gateway.sandbox.scenario.verbs import (
    CALL_IN,
    CLEAR_FAULTS,
    COMMON,
    CREATE,
    FAULT,
    HANG_UP,
    IN_BODY,
    IN_PATH,
    MANY_CALLS,
    ONE_CALL,
    TALK,
    Verb,
)
from gateway.sandbox.validation import Validation

# Steps of one scenario, counting one for each call that a step is for.
STEPS_MAX = 20_000

# Characters of a step's words that a person is told.
_TOLD_MAX = 60

_WORD_OF = {name: word for name, word in IN_BODY.items() if word is not None}


def is_seconds(value: Any) -> bool:
    """Whether a value is a time in seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and value >= 0


@dataclass(frozen=True, slots=True)
class _Draft:
    """A step whose place among the others is not known yet."""

    step: Step
    verb: str
    # Everybody who has to have called in.
    needed: tuple[Caller, ...]
    # The conference that has to be there, by the scenario's name.
    conference: str | None


class Compiler:
    """Turns the steps of a file into steps to play; mistakes are noted."""

    def __init__(
        self,
        cast: Cast,
        verbs: Mapping[str, Verb],
        validation: Validation,
        problems: Problems,
    ) -> None:
        self._cast = cast
        self._validation = validation
        self._problems = problems
        operations = [it.operation for it in verbs.values() if it.operation is not None]
        self._operations = frozenset(it.id for it in operations)
        self._drafts: list[_Draft] = []

    @property
    def is_full(self) -> bool:
        """Whether there are more steps than a scenario may have."""
        return len(self._drafts) > STEPS_MAX

    @property
    def last_at(self) -> float:
        """When the last step is."""
        return max((it.step.at for it in self._drafts), default=0.0)

    def add(self, number: int, verb: Verb, step: Mapping[str, Any], at: float, line: int) -> None:
        """Add what a step of the file does, once for each call that it is for."""
        every, refused = step.get("every", 0), step.get("refused", False)
        if not is_seconds(every):
            what = f"'every' must be a number of seconds, got {every!r}"
            self._problems.at_step(number, verb.name, what, "every")
            return
        if "every" in step and ONE_CALL not in step:
            what = "takes no 'every': that is the time between several in 'call'"
            self._problems.at_step(number, verb.name, what, "every")
        if not isinstance(refused, bool):
            what = f"'refused' must be true or false, got {refused!r}"
            self._problems.at_step(number, verb.name, what, "refused")
            return
        if not verb.required <= step.keys():
            return
        callers: Sequence[Caller | None] = [None]
        if ONE_CALL in step and ONE_CALL in verb.words:
            callers = self._cast.named(number, verb.name, ONE_CALL, step[ONE_CALL])
        conference = step.get("conference")
        if conference is not None and not isinstance(conference, str):
            self._problems.at_step(number, verb.name, "'conference' must be a text", "conference")
            return
        for index, caller in enumerate(callers):
            deed, others = self._deed(number, verb, step, caller)
            if deed is None:
                return
            first = Step(
                at + index * float(every),
                number,
                line,
                _told(verb, step, caller),
                deed,
                (),
                refused,
            )
            needed = others if caller is None or isinstance(deed, CallIn) else (caller, *others)
            self._drafts.append(_Draft(first, verb.name, needed, conference))

    def steps(self) -> list[Step]:
        """Return all steps in the order of their times; those that come too early are noted."""
        known: set[str] = set()
        conferences: set[str] = set()
        result: list[Step] = []
        for draft in sorted(self._drafts, key=lambda it: it.step.at):
            step, name = draft.step, draft.conference
            if isinstance(step.deed, CallIn):
                known.add(step.deed.caller.name)
            arriving = tuple(it for it in draft.needed if it.name not in known)
            known.update(it.name for it in arriving)
            if isinstance(step.deed, Command) and step.deed.creates and name is not None:
                conferences.add(name)
            elif name is not None and name not in conferences:
                what = f"there is no conference '{name}' yet: {likely(name, conferences)}"
                self._problems.at_step(step.number, draft.verb, what, "conference")
            result.append(replace(step, arriving=arriving))
        return result

    def _deed(
        self, number: int, verb: Verb, step: Mapping[str, Any], caller: Caller | None
    ) -> tuple[Deed | None, tuple[Caller, ...]]:
        """Return what is done, None if that is wrong, and who else has to be there."""
        if verb.operation is not None:
            return self._command(number, verb, verb.operation, step, caller)
        if verb.name == CLEAR_FAULTS:
            return Relief(), ()
        if verb.name == FAULT:
            fault = self._fault(number, step, caller)
            return (None if fault is None else Trouble(fault, step.get("conference"))), ()
        assert caller is not None
        deeds: Mapping[str, type[CallIn | HangUp | Talk]] = {
            CALL_IN: CallIn,
            HANG_UP: HangUp,
            TALK: Talk,
        }
        return deeds[verb.name](caller), ()

    def _command(
        self,
        number: int,
        verb: Verb,
        operation: Operation,
        step: Mapping[str, Any],
        caller: Caller | None,
    ) -> tuple[Command | None, tuple[Caller, ...]]:
        values, others = (
            dict(self._body(number, verb, operation, step, caller)),
            dict[str, Caller](),
        )
        for word in MANY_CALLS & step.keys() & verb.words:
            named = self._cast.named(number, verb.name, word, step[word])
            if not named:
                return None, ()
            chosen = {it.name: it for it in named}
            others |= chosen
            (parameter,) = (it for it, of in _WORD_OF.items() if of == word)
            values[parameter] = [it.call_control_id for it in chosen.values()]
        path: dict[str, str] = {}
        for placeholder in operation.placeholders:
            if placeholder == "call_control_id" and caller is not None:
                path[placeholder] = caller.call_control_id
            elif placeholder == "queue_name":
                path[placeholder] = str(step["queue"])
        try:
            self._validation.check(operation, path, values, {})
        except RefusedError as refused:
            for problem in refused.problems:
                parameter = (problem.pointer or "/").split("/")[1]
                word = IN_BODY.get(parameter) or parameter
                self._problems.at_step(number, verb.name, problem.detail, word)
            return None, ()
        conference = step.get("conference") if "conference" in verb.words else None
        deed = Command(operation.id, path, values, conference, creates=verb.name == CREATE)
        return deed, tuple(others.values())

    def _body(
        self,
        number: int,
        verb: Verb,
        operation: Operation,
        step: Mapping[str, Any],
        caller: Caller | None,
    ) -> Iterator[tuple[str, Any]]:
        for parameter in operation.body["properties"]:
            word = _WORD_OF.get(parameter, parameter)
            if word == ONE_CALL and caller is not None:
                yield parameter, caller.call_control_id
            elif word in step and word not in MANY_CALLS and word != ONE_CALL:
                yield parameter, step[word]
        if verb.name == CREATE and "name" not in step:
            yield "name", step["conference"]

    def _fault(self, number: int, step: Mapping[str, Any], caller: Caller | None) -> Fault | None:
        value = {word: it for word, it in step.items() if word not in COMMON}
        value.pop("conference", None)
        value.pop(ONE_CALL, None)
        if caller is not None:
            value["call_control_id"] = caller.call_control_id
        try:
            fault = faults.from_json(value)
        except ValueError as error:
            self._problems.at_step(number, FAULT, str(error))
            return None
        word, name, known = "event_type", "", EVENT_TYPES | {"*"}
        if isinstance(fault, RequestFault):
            word, name, known = "operation", fault.operation, self._operations | {"*"}
        else:
            name = fault.event_type
        if name not in known:
            what = f"there is no {word} '{name}': {likely(name, known)}"
            self._problems.at_step(number, FAULT, what, word)
            return None
        return fault


def _told(verb: Verb, step: Mapping[str, Any], caller: Caller | None) -> str:
    """Return what a person is told of a step: who does what, and with what."""
    said = [
        _shown(word, value)
        for word, value in step.items()
        if word in verb.words and word != ONE_CALL
    ]
    text = one_line(" ".join([verb.name, *said]))
    text = text if len(text) <= _TOLD_MAX else f"{text[: _TOLD_MAX - 1]}…"
    return text if caller is None else f"{caller.name}: {text}"


def _shown(word: str, value: Any) -> str:
    match value:
        case True:
            return word
        case False:
            return f"{word}=false"
        case list():
            return ",".join(map(str, value))
        case str() if word in IN_PATH.values() or word == "on":
            return value
        case _:
            return f"{word}={value}"
