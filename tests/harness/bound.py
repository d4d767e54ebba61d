"""Callers that are bound, on a gateway whose callers nobody is asked for: a call says who it is."""

from typing import Any

from gateway.callers.caller import Caller, Role
from gateway.callers.kinds import Kinds
from gateway.callers.visible import binding
from gateway.server.call import Call
from tests.harness.events import KEYS
from tests.harness.gateway import RunningGateway
from tests.harness.provider import Answer, SentRequest

bind = binding(Kinds(KEYS))


def caller(*connections: str, queues: set[str] | None = None, name: str = "desk") -> Caller:
    """A caller that is bound to these connections; without any it is not bound to some."""
    of = frozenset(connections) if connections else None
    return bind(Caller(name, Role.ADMIN, of, None if queues is None else frozenset(queues)))


class Introduced:
    """Takes the name in a call's metadata for who calls."""

    def __init__(self) -> None:
        self.callers: dict[str, Caller] = {}

    def meet(self, call: Call[Any]) -> None:
        name = dict(call.metadata).get("x-caller")
        if name is not None:
            call.caller = self.callers[str(name)]

    def calling(self, caller: Caller) -> dict[str, Any]:
        """What a call of this caller has beside its message."""
        self.callers[caller.name] = caller
        # With one request id for all, so that errors which say the same are the same.
        return {"metadata": (("x-caller", caller.name), ("x-request-id", "one"))}


def introduced(gateway: RunningGateway) -> Introduced:
    """Have a gateway believe who its callers say they are, before any handler asks."""
    introduced, in_flight = Introduced(), gateway.app.rules.in_flight
    let_begin = in_flight.on_start

    def on_start(call: Call[Any]) -> None:
        let_begin(call)
        introduced.meet(call)

    in_flight.on_start = on_start  # type: ignore[method-assign]
    return introduced


# What the provider has: conferences by their connections, and its queues.
CONFERENCES = {"conf-a": "a", "conf-b": "b", "conf-c": "c"}
QUEUES = ("support", "sales")

# What its events say of the connections of calls, and RPCs whose calls are those of a queue.
CALLS: dict[str, str | None] = {"v3:a": "a", "v3:b": "b", "v3:c": "c", "v3:none": None}
_OF_QUEUED_CALLS = {"GetQueuedCall", "UpdateQueuedCall", "RemoveQueuedCall"}


def model(who: Caller, rpc: str, request: Any) -> str:
    """What becomes of a call: the reason that it is refused for, or nothing."""
    own, names = who.connections, [it.name for it in request.DESCRIPTOR.fields]
    queues = [request.queue_name] if "queue_name" in names else []
    granted = who.queues if who.queues is not None else QUEUES if own is None else ()
    if not {*queues} <= {*granted} or (rpc == "ListQueues" and not granted):
        return "QUEUE_NOT_GRANTED"
    conferences = [request.conference_id] if "conference_id" in names and own is not None else []
    if any(CONFERENCES.get(it) not in (own or ()) for it in conferences):
        return "NOT_FOUND"
    if own is not None and rpc == "ListConferences":
        chosen = request.filter.connection_id
        return "" if chosen in own or (not chosen and len(own) == 1) else "INVALID_REQUEST"
    calls = [] if rpc in _OF_QUEUED_CALLS or own is None else _named_calls(request, names)
    return "CALL_NOT_TIED" if any(CALLS.get(it) not in (own or ()) for it in calls) else ""


def _named_calls(request: Any, names: list[str]) -> list[str]:
    one = [getattr(request, it) for it in names if it.endswith("call_control_id")]
    many = [
        call for it in names if it.endswith("call_control_ids") for call in getattr(request, it)
    ]
    return [it for it in [*one, *many] if it]


_NOT_FOUND = {"errors": [{"code": "10005", "title": "Resource not found", "detail": "gone"}]}


def account(request: SentRequest) -> Answer:
    """Respond as a provider does that has these conferences and queues."""
    match request.method, request.path.removeprefix("/v2").split("/")[1:]:
        case "GET", ["conferences"]:
            wanted = request.query.get("filter[connection_id]")
            found = [it for it in CONFERENCES.items() if wanted in (None, it[1])]
            return _listed([{"id": id_, "connection_id": of} for id_, of in found])
        case "GET", ["conferences", id_]:
            if id_ not in CONFERENCES:
                return Answer(404, _NOT_FOUND)
            return Answer(body={"data": {"id": id_, "connection_id": CONFERENCES[id_]}})
        case "GET", ["queues"]:
            return _listed([{"name": name} for name in QUEUES])
        case "GET", [*_, "participants" | "calls"]:
            return _listed([])
    return Answer(body={"data": {"result": "ok"}})


def _listed(items: list[dict[str, str]]) -> Answer:
    return Answer(body={"data": items, "meta": {"total_results": len(items), "total_pages": 1}})
