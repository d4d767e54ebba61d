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
