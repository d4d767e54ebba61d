"""Trouble on demand: what to do to which requests and webhooks, and how often."""

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from types import UnionType
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

When = Literal["before", "after"]
WebhookTrouble = Literal["duplicate", "reorder", "lose", "delay"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFault:
    """Trouble with REST requests. The delay comes first, then the drop or the status.

    With neither `status` nor `drop` the request is only delayed and carried out as usual.
    Raises ValueError at construction when it would do nothing or contradicts itself.
    """

    # An operation id such as `conferences.actions.join`, or `*` for all.
    operation: str = "*"
    conference_id: str | None = None
    # Matches in the path, in `call_control_id` and in `call_control_ids` of the body.
    call_control_id: str | None = None
    # How many requests it hits before it is spent; None is without end.
    times: int | None = None
    probability: float = 1.0
    # Makes the draws for `probability` the same in every run.
    seed: int = 0
    # `after`: the command is executed, but its response is delayed, replaced or lost.
    when: When = "before"
    # In sandbox time.
    delay_seconds: float = 0.0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    # JSON to respond with, or the text of a web page, as proxies respond with.
    #
    # None makes an error body in the provider's form, or no body below status 400.
    body: Any = None
    # Close the connection without a response.
    drop: bool = False

    def __post_init__(self) -> None:
        _check_odds(self.times, self.probability)
        if self.drop and self.status is not None:
            raise ValueError("a dropped request has no status: give either drop or status")
        if not self.drop and self.status is None and self.delay_seconds <= 0:
            raise ValueError("the fault does nothing: give it delay_seconds, status or drop")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError(f"status must be 200 to 599, got {self.status}")
        if self.when not in ("before", "after"):
            raise ValueError(f"when must be 'before' or 'after', got {self.when!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookFault:
    """Trouble with webhooks.

    `duplicate` posts it `copies` more times, `reorder` holds it back until `after` others
    have passed, `lose` never posts it (the delivery log says failed), `delay` posts it
    `delay_seconds` of sandbox time later while others pass.
    """

    trouble: WebhookTrouble
    # An event type such as `conference.created`, or `*` for all.
    event_type: str = "*"
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    copies: int = 1
    after: int = 1
    delay_seconds: float = 1.0

    def __post_init__(self) -> None:
        _check_odds(self.times, self.probability)
        if self.trouble not in ("duplicate", "reorder", "lose", "delay"):
            raise ValueError(
                f"trouble must be duplicate, reorder, lose or delay, got {self.trouble!r}"
            )
        if self.copies < 1 or self.after < 1 or self.delay_seconds < 0:
            raise ValueError("copies and after must be at least 1, delay_seconds not negative")


Fault = RequestFault | WebhookFault
F = TypeVar("F", bound=Fault)


def to_json(fault: Fault) -> dict[str, Any]:
    """Return a fault as the control API shows it: its fields, and `on` for its kind."""
    kind = "request" if isinstance(fault, RequestFault) else "webhook"
    return {"on": kind} | asdict(fault)


def from_json(value: Mapping[str, Any]) -> Fault:
    """Return the fault that the control API was sent. Raises ValueError, with what is wrong."""
    rest = dict(value)
    kind = rest.pop("on", None)
    if kind not in ("request", "webhook"):
        raise ValueError(f"'on' must be 'request' or 'webhook', got {kind!r}")
    model: type[RequestFault] | type[WebhookFault] = (
        RequestFault if kind == "request" else WebhookFault
    )
    known = {it.name for it in fields(model)}
    if unknown := sorted(set(rest) - known):
        raise ValueError(f"unknown: {', '.join(unknown)}; a {kind} fault has {sorted(known)}")
    hints = get_type_hints(model)
    for name, given in rest.items():
        if not _fits(given, hints[name]):
            raise ValueError(f"'{name}' of a {kind} fault cannot be {given!r}")
    try:
        return model(**rest)
    except TypeError as failure:
        raise ValueError(str(failure)) from failure


class Armed(Generic[F]):
    """A fault and how much of it is left."""

    def __init__(self, fault: F) -> None:
        self.fault: F = fault
        self.left = fault.times
        self._random = random.Random(fault.seed)

    def fires(self) -> bool:
        """Return whether it hits this time; each hit uses it up by one."""
        if self.left == 0:
            return False
        if self.fault.probability < 1.0 and self._random.random() >= self.fault.probability:
            return False
        if self.left is not None:
            self.left -= 1
        return True


class Faults:
    """The faults that are armed. The first that matches and fires is the one that happens."""

    def __init__(self) -> None:
        self.requests: list[Armed[RequestFault]] = []
        self.webhooks: list[Armed[WebhookFault]] = []

    def add(self, fault: Fault) -> None:
        """Arm a fault, behind those that are armed already."""
        if isinstance(fault, RequestFault):
            self.requests.append(Armed(fault))
        else:
            self.webhooks.append(Armed(fault))

    def clear(self) -> None:
        """Disarm all."""
        self.requests.clear()
        self.webhooks.clear()

    def listing(self) -> list[dict[str, Any]]:
        """Return the armed faults with `left`: hits still to come, None without end."""
        every: list[tuple[Fault, int | None]] = [(it.fault, it.left) for it in self.requests]
        every += [(it.fault, it.left) for it in self.webhooks]
        return [to_json(fault) | {"left": left} for fault, left in every]

    def on_request(self, operation: str, path: Mapping[str, str], body: Any) -> RequestFault | None:
        """Return the fault that hits this request, None if none does."""
        for armed in self.requests:
            fault = armed.fault
            if _matches(fault, operation, path, body) and armed.fires():
                return fault
        return None

    def on_webhook(self, event_type: str) -> WebhookFault | None:
        """Return the fault that hits this webhook, None if none does."""
        for armed in self.webhooks:
            if armed.fault.event_type in ("*", event_type) and armed.fires():
                return armed.fault
        return None


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the type that a field is declared with."""
    if hint is Any or get_origin(hint) is Literal:
        # The latter is checked at construction.
        return True
    if isinstance(hint, UnionType):
        return any(_fits(value, it) for it in get_args(hint))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, get_origin(hint) or hint)


def _matches(fault: RequestFault, operation: str, path: Mapping[str, str], body: Any) -> bool:
    if fault.operation not in ("*", operation):
        return False
    if fault.conference_id is not None:
        # Below /conferences the conference is called id or conference_id, depending on the route.
        named = path.get("conference_id") or (
            path.get("id") if operation.startswith("conferences.") else None
        )
        if named != fault.conference_id:
            return False
    if fault.call_control_id is not None:
        given = body if isinstance(body, dict) else {}
        listed = given.get("call_control_ids")
        named_calls = [path.get("call_control_id"), given.get("call_control_id")]
        named_calls += listed if isinstance(listed, list) else []
        return fault.call_control_id in named_calls
    return True


def _check_odds(times: int | None, probability: float) -> None:
    if times is not None and times < 1:
        raise ValueError(f"times must be at least 1, or absent for no end, got {times}")
    if not 0 < probability <= 1:
        raise ValueError(f"probability must be above 0 and at most 1, got {probability}")
