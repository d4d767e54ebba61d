"""Refusals in the provider's form, and the one table of codes the sandbox answers with.

The codes are the provider's. Where it documents none for a state of a call or conference, its
general 90033 ("unable to execute command") stands, with the state in the title.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of refusal: its number, its short title, its HTTP status."""

    number: str
    title: str
    status: int


MISSING_PARAMETER: Final = Code("10004", "Missing required parameter", 422)
NOT_FOUND: Final = Code("10005", "Resource not found", 404)
UNEXPECTED: Final = Code("10007", "Unexpected error", 500)
AUTHENTICATION_FAILED: Final = Code("10009", "Authentication failed", 401)
TOO_MANY_REQUESTS: Final = Code("10011", "Too many requests", 429)
DUPLICATE: Final = Code("10012", "Resource already exists", 422)
INVALID_PARAMETER: Final = Code("10015", "Invalid parameter", 422)
METHOD_NOT_ALLOWED: Final = Code("10015", "Method not allowed", 405)
BODY_TOO_LARGE: Final = Code("10015", "Request body too large", 413)
IN_USE: Final = Code("10021", "Resource in use", 422)
INVALID_JSON: Final = Code("10023", "Invalid JSON", 400)

CALL_ENDED: Final = Code("90018", "Call has already ended", 422)
CONFERENCE_ENDED: Final = Code("90019", "Conference has already ended", 422)
NOT_IN_CONFERENCE: Final = Code("90033", "Call is not in the conference", 422)
ALREADY_IN_CONFERENCE: Final = Code("90033", "Call is already in a conference", 422)
CONFERENCE_FULL: Final = Code("90032", "Conference is full", 422)
CONFERENCE_CLOSED: Final = Code("90033", "Conference takes no new participants", 422)
NO_SUCH_RECORDING: Final = Code("90033", "Conference has no such recording under way", 422)
ALREADY_IN_QUEUE: Final = Code("90038", "Call is already in a queue", 422)
NOT_IN_QUEUE: Final = Code("90033", "Call is not in a queue", 422)
QUEUE_FULL: Final = Code("90036", "Queue is full", 422)

DOCUMENTATION: Final = "https://developers.telnyx.com/docs/overview/errors/"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a request, and where in it."""

    code: Code
    detail: str
    pointer: str | None = None
    """JSON pointer to the parameter at fault; ``None`` when no parameter is."""

    def body(self) -> dict[str, Any]:
        """Show it as one entry of an error body."""
        found: dict[str, Any] = {
            "code": self.code.number,
            "title": self.code.title,
            "detail": self.detail,
        }
        if self.pointer is not None:
            found["source"] = {"pointer": self.pointer}
        found["meta"] = {"url": DOCUMENTATION + self.code.number}
        return found


class Refused(Exception):
    """The request is answered with an error; nothing was executed.

    The status is that of the first problem.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.detail for problem in problems))
        self.problems = tuple(problems)

    @property
    def status(self) -> int:
        """HTTP status to answer with."""
        return self.problems[0].code.status

    def body(self) -> dict[str, Any]:
        """Show it as the body of an answer."""
        return {"errors": [problem.body() for problem in self.problems]}


def refusal(code: Code, detail: str, pointer: str | None = None) -> Refused:
    """Make a refusal for a single reason."""
    return Refused([Problem(code, detail, pointer)])
