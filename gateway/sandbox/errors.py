"""Refusals in the provider's form, and the one table of codes that the sandbox responds with.

The codes are the provider's. Where it documents none for a state of a call or conference, its
general 90033 ("unable to execute command") stands, with the state in the title.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of refusal: its number, its short title, its HTTP status."""

    number: str
    title: str
    status: int


MISSING_PARAMETER = Code("10004", "Missing required parameter", 422)
NOT_FOUND = Code("10005", "Resource not found", 404)
UNEXPECTED = Code("10007", "Unexpected error", 500)
AUTHENTICATION_FAILED = Code("10009", "Authentication failed", 401)
TOO_MANY_REQUESTS = Code("10011", "Too many requests", 429)
DUPLICATE = Code("10012", "Resource already exists", 422)
INVALID_PARAMETER = Code("10015", "Invalid parameter", 422)
METHOD_NOT_ALLOWED = Code("10015", "Method not allowed", 405)
BODY_TOO_LARGE = Code("10015", "Request body too large", 413)
IN_USE = Code("10021", "Resource in use", 422)
INVALID_JSON = Code("10023", "Invalid JSON", 400)

CALL_ENDED = Code("90018", "Call has already ended", 422)
CONFERENCE_ENDED = Code("90019", "Conference has already ended", 422)
NOT_IN_CONFERENCE = Code("90033", "Call is not in the conference", 422)
ALREADY_IN_CONFERENCE = Code("90033", "Call is already in a conference", 422)
CONFERENCE_FULL = Code("90032", "Conference is full", 422)
CONFERENCE_CLOSED = Code("90033", "Conference takes no new participants", 422)
NO_SUCH_RECORDING = Code("90033", "Conference has no such recording under way", 422)
ALREADY_IN_QUEUE = Code("90038", "Call is already in a queue", 422)
NOT_IN_QUEUE = Code("90033", "Call is not in a queue", 422)
QUEUE_FULL = Code("90036", "Queue is full", 422)

_DOCUMENTATION = "https://developers.telnyx.com/docs/overview/errors/"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a request, and where in it."""

    code: Code
    detail: str
    # JSON pointer to the parameter at fault; None when no parameter is.
    pointer: str | None = None

    def body(self) -> dict[str, Any]:
        """Return it as one entry of an error body."""
        found: dict[str, Any] = {
            "code": self.code.number,
            "title": self.code.title,
            "detail": self.detail,
        }
        if self.pointer is not None:
            found["source"] = {"pointer": self.pointer}
        found["meta"] = {"url": _DOCUMENTATION + self.code.number}
        return found


class RefusedError(Exception):
    """The response is an error; nothing was executed.

    The status is that of the first problem.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.detail for problem in problems))
        self.problems = tuple(problems)

    @property
    def status(self) -> int:
        """HTTP status of the response."""
        return self.problems[0].code.status

    def body(self) -> dict[str, Any]:
        """Return it as the body of a response."""
        return {"errors": [problem.body() for problem in self.problems]}


def refusal(code: Code, detail: str, pointer: str | None = None) -> RefusedError:
    """Return a refusal for a single reason."""
    return RefusedError([Problem(code, detail, pointer)])
