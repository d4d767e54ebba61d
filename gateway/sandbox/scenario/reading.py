"""Scenarios in TOML: read, and checked completely before anything is played."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from gateway.sandbox.operations import load_operations
from gateway.sandbox.scenario.cast import Cast
from gateway.sandbox.scenario.compiling import STEPS_MAX, Compiler, is_seconds
from gateway.sandbox.scenario.problems import Places, Problems, ScenarioError, likely
from gateway.sandbox.scenario.script import Script
from gateway.sandbox.scenario.verbs import COMMON, verbs
from gateway.sandbox.validation import Validation

WORDS: Mapping[str, str] = {
    "title": "required; what it is, in a line",
    "about": "what it shows, for people",
    "length": "seconds after which it is over; by default, at its last step",
    "calls": "who takes part: a table for each caller or group",
    "steps": "required; what happens",
}

# Files of people; more is no scenario.
_BYTES_MAX = 2**20


def read_script(text: str, file: str) -> Script:
    """Return the scenario that a text has. Raises ScenarioError, with all that is wrong.

    `file` is what it is called in errors; the scenario has its name without the ending.
    """
    if len(text) > _BYTES_MAX:
        raise ScenarioError([f"{file}: is larger than {_BYTES_MAX // 2**20} MiB"])
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError([_placed(file, text, str(error))]) from None
    except RecursionError:
        raise ScenarioError([f"{file}: is nested too deeply"]) from None
    steps = document.get("steps")
    number = len(steps) if isinstance(steps, list) else 0
    places = Places(text, number)
    problems = Problems(file, places)
    for word in document:
        if word not in WORDS:
            problems.note(f"there is no '{word}' at the top: {likely(word, WORDS)}")
    title = _text(document, "title", problems, required=True)
    about = _text(document, "about", problems)
    name = re.sub(r"[^a-z0-9]+", "-", PurePath(file).stem.lower()).strip("-") or "scenario"
    cast = Cast(name, document.get("calls", {}), problems)
    if not isinstance(steps, list) or not steps or not all(isinstance(it, dict) for it in steps):
        problems.note("has no steps: write at least one [[steps]]")
        steps = []
    compiled = _compiled(steps, cast, problems, places)
    ordered, last = compiled.steps(), compiled.last_at
    length = document.get("length", last)
    if not is_seconds(length):
        problems.note(f"'length' must be a number of seconds, got {length!r}")
    elif length < last:
        problems.note(f"'length' is {length:g}, but the last step is at {last:g}")
    problems.check()
    return Script(name, title, about, float(length), list(cast.callers.values()), ordered)


def _compiled(
    steps: Sequence[Mapping[str, Any]], cast: Cast, problems: Problems, places: Places
) -> Compiler:
    operations = load_operations()
    known = verbs(operations)
    compiler = Compiler(cast, known, Validation(operations), problems)
    at = 0.0
    for number, step in enumerate(steps, 1):
        name = step.get("do")
        verb = known.get(name) if isinstance(name, str) else None
        if verb is None:
            hint = likely(name, known) if isinstance(name, str) else f"one of {', '.join(known)}"
            problems.at_step(number, "", f"'do' is {name!r}: {hint}", "do")
            continue
        for word in step:
            if word not in verb.words | COMMON:
                hint = likely(word, verb.words | COMMON)
                problems.at_step(number, verb.name, f"takes no '{word}': {hint}", word)
        for word in sorted(verb.required - step.keys()):
            problems.at_step(number, verb.name, f"needs '{word}'")
        at = _moment(step, number, verb.name, at, problems)
        compiler.add(number, verb, step, at, places.of_step(number))
        if compiler.is_full:
            problems.note(f"has more than {STEPS_MAX:,} steps, counting one for each call")
            break
    return compiler


def _moment(
    step: Mapping[str, Any], number: int, verb: str, before: float, problems: Problems
) -> float:
    """Return when the step is; the one before it is at `before`."""
    for word in ("at", "wait"):
        if word in step and not is_seconds(step[word]):
            what = f"'{word}' must be a number of seconds, got {step[word]!r}"
            problems.at_step(number, verb, what, word)
            return before
    if "at" in step and "wait" in step:
        problems.at_step(number, verb, "has both 'at' and 'wait': give one of them", "wait")
    if "at" not in step:
        return before + float(step.get("wait", 0.0))
    at = float(step["at"])
    if at < before:
        what = f"is at {at:g}, earlier than the step before it, at {before:g}: put it before that"
        problems.at_step(number, verb, what, "at")
        return before
    return at


def _text(
    document: Mapping[str, Any], word: str, problems: Problems, *, required: bool = False
) -> str:
    value = document.get(word, "")
    if not isinstance(value, str) or (required and not value.strip()):
        problems.note(f"'{word}' must be a text" if value else f"needs a '{word}'")
        return ""
    return value.strip()


def _placed(file: str, text: str, error: str) -> str:
    """Return an error of the TOML reader with the line in front."""
    found = re.fullmatch(
        r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", error, re.DOTALL
    )
    if found is None:
        return f"{file}: {error}"
    return f"{file}:{found[2] or text.count(chr(10)) + 1}: {found[1]}"
