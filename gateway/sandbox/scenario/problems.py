"""What is wrong with a scenario's file, and where."""

import difflib
import re
from collections.abc import Iterable, Sequence

from gateway.sandbox.scenario.pace import one_line

_STEP = re.compile(r"\s*\[\[\s*steps\s*\]\]")
_TABLE = re.compile(r"\s*\[")


class ScenarioError(Exception):
    """A scenario cannot be read; `problems` has a line for each mistake."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Places:
    """The lines of a file at which its steps are, as far as that can be seen."""

    def __init__(self, text: str, steps: int) -> None:
        self._lines = text.splitlines()
        heads = [number for number, it in enumerate(self._lines) if _STEP.match(it)]
        # Steps may also be written as a list of inline tables, and text may look like a step.
        self._heads = heads if len(heads) == steps else []

    def of_step(self, number: int, word: str = "") -> int:
        """Return the line of the step with this number, or of a word in it; 0 if unknown."""
        if not self._heads:
            return 0
        head = self._heads[number - 1]
        for at in range(head + 1, len(self._lines)) if word else ():
            if _TABLE.match(self._lines[at]):
                break
            if re.match(rf'\s*"?{re.escape(word)}"?\s*=', self._lines[at]):
                return at + 1
        return head + 1


class Problems:
    """Mistakes as they are found, each with its place."""

    def __init__(self, file: str, places: Places) -> None:
        self._file = file
        self._places = places
        self._found: list[tuple[int, str]] = []

    def note(self, what: str) -> None:
        """Note a mistake outside the steps."""
        self._found.append((0, one_line(f"{self._file}: {what}")))

    def at_step(self, number: int, verb: str, what: str, word: str = "") -> None:
        """Note a mistake in a step, if possible at a word of it."""
        line = self._places.of_step(number, word)
        place = f"{self._file}:{line}" if line else self._file
        doing = f" ({verb})" if verb else ""
        self._found.append((number, one_line(f"{place}: step {number}{doing}: {what}")))

    def check(self) -> None:
        """Raise ScenarioError if there is any mistake."""
        if self._found:
            ordered = sorted(dict.fromkeys(self._found), key=lambda it: it[0])
            raise ScenarioError([text for _, text in ordered])


def likely(name: str, known: Iterable[str]) -> str:
    """Return a hint at what may have been meant, or at all that there is."""
    every = sorted(known)
    near = [it for it in every if it.endswith(f".{name}")]
    near = near or difflib.get_close_matches(name, every, n=2)
    if near:
        return f"is it {' or '.join(near)}?"
    return f"there is {', '.join(every)}" if every else "there is none"
