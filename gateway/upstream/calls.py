"""Calls: one operation that somebody wants done, and what is known of it from its requests."""

from dataclasses import dataclass
from typing import Any

from gateway.schema.rest import RestRequest, Safety
from gateway.upstream.ends import RULES, End, caller_may_retry
from gateway.upstream.operation import Operation


@dataclass(slots=True)
class UpstreamCall:
    """A call to the provider, kept up to date for whoever reports what became of it."""

    operation: Operation[object]
    request: Any
    rest: RestRequest
    # The id of the call that it is made for, empty for what the gateway itself wants.
    request_id: str = ""
    # Requests sent, or refused before they could leave.
    attempts: int = 0
    # Whether any of them may have run without a response that says so.
    may_have_run: bool = False
    # For how many seconds more the provider will know the call's command id.
    remembered_s: float = 0.0
    # For how many seconds more the provider does not want a retry; None if it did not say.
    retry_after_s: float | None = None

    def note(self, end: End) -> None:
        """Take note of a request's end."""
        self.may_have_run = self.may_have_run or RULES[end].may_have_run

    @property
    def is_harmless(self) -> bool:
        """Whether the caller may retry, whatever became of this call."""
        return caller_may_retry(
            self.operation.safety,
            may_have_run=self.may_have_run,
            id_was_made=self.rest.command_id_was_made,
            is_forgotten=bool(self.rest.command_id) and self.remembered_s <= 0,
        )

    @property
    def may_have_changed(self) -> bool:
        """Whether it may have run and had an effect."""
        return self.may_have_run and self.operation.safety is not Safety.READ

    def metadata(self, end: End, **more: str) -> dict[str, str]:
        """Return the metadata of every error of the call, and `more`."""
        outcome = "" if self.attempts else "not_sent"
        if self.may_have_changed:
            outcome = "unknown"
        if end is End.UNREADABLE and self.operation.safety is not Safety.READ:
            outcome = "done"
        return {
            "method": self.operation.name,
            "command_id": self.rest.command_id,
            "attempts": str(self.attempts),
            **({"outcome": outcome} if outcome else {}),
            **more,
        }
