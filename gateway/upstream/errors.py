"""Errors of calls to the provider, in terms of the call: the RPC face gives them their status."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.details import FieldViolation, Resource


class Reason(enum.Enum):
    """Why a call failed. The names are in the errors that callers get, and stable."""

    # What the provider refused.
    INVALID_REQUEST = enum.auto()
    INVALID_ID = enum.auto()
    MISSING_PARAMETER = enum.auto()
    NOT_FOUND = enum.auto()
    DUPLICATE = enum.auto()
    IN_USE = enum.auto()
    INVALID_STATE = enum.auto()
    PAYMENT_REQUIRED = enum.auto()
    NOT_AUTHORIZED = enum.auto()
    CONFLICT = enum.auto()
    RATE_LIMITED = enum.auto()
    UPSTREAM_CREDENTIALS_REJECTED = enum.auto()
    UPSTREAM_UNEXPECTED_STATUS = enum.auto()
    # The provider cannot do it now. A retry is harmless.
    UPSTREAM_UNAVAILABLE = enum.auto()
    # The response came, and cannot be decoded.
    UPSTREAM_UNREADABLE_RESPONSE = enum.auto()
    # The command may have run, and a retry might run it a second time.
    OUTCOME_UNKNOWN = enum.auto()
    DEADLINE_EXCEEDED = enum.auto()
    GATEWAY_OVERLOADED = enum.auto()
    GATEWAY_SHUTTING_DOWN = enum.auto()


# Not frozen: the interpreter and contextlib assign an exception's traceback.
@dataclass(eq=False)
class UpstreamError(Exception):
    """A call to the provider failed: why, and all that is known of it.

    `message` tells people what was wrong, where, and what to do. `metadata` is for programs; keys
    are lower_snake.
    """

    reason: Reason
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[FieldViolation, ...] = ()
    resource: Resource | None = None
    # Seconds after which a retry makes sense, where the provider or the gateway knows.
    retry_after: float | None = None
    help_url: str = ""

    def __str__(self) -> str:
        return f"{self.reason.name}: {self.message}"
