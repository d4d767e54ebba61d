"""Identity x role x binding x RPC, on a real gateway in mutual TLS: every one of them.

The RPCs are those of the descriptors, and what the gateway serves is compared with them: an RPC
that is added is in the table, or this fails.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import grpc
import pytest
from google.api.field_behavior_pb2 import REQUIRED, field_behavior
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from gateway.callers.caller import Caller, Role
from gateway.schema.access import access_of
from tests.harness.all_methods import METHODS, SERVICES, full_name
from tests.harness.bound import account, caller, model
from tests.harness.callers import bearer, digest, entry
from tests.harness.certificates import Issued
from tests.harness.gateway import Failure, RunningGateway
from tests.harness.issuer import NAME, Key, claims
from tests.harness.loop import LoopThread
from tests.harness.mutual import PROXIES, SPIFFE, Mutual, Shown, forwarded, forwarded_whole
from tests.harness.provider import RecordingProvider

KEY = Key("key")
ROLES = {role.name.lower(): role for role in Role}

# What callers are bound to: everything that a request of this test names is of `a` and `support`.
BINDINGS: dict[str, tuple[str, Caller]] = {
    "unbound": ("", caller()),
    "a": ('connections = ["a"]', caller("a")),
    "b": ('connections = ["b"]', caller("b")),
    "support": ('queues = ["support"]', caller(queues={"support"})),
    "sales": ('queues = ["sales"]', caller(queues={"sales"})),
    "a-support": (
        'connections = ["a"]\nqueues = ["support"]',
        caller("a", queues={"support"}),
    ),
}

# What a caller is known by in the file, by its name, and what it shows.
IDENTITIES: dict[str, tuple[str, Callable[["Stage", str], Shown]]] = {
    "token": ('token_sha256 = "{digest}"', lambda it, name: Shown(it.nobody, bearer(name))),
    "certificate": (
        f'spiffe = "{SPIFFE}{{name}}"',
        lambda it, name: Shown(it.mutual.authority.client(uris=[SPIFFE + name])),
    ),
    "jwt": (
        f'issuer = "{NAME}", subject = "{{name}}"',
        lambda it, name: Shown(it.nobody, bearer(KEY.sign(claims(name)))),
    ),
    "forwarded": (
        'dns = "{name}.svc"',
        lambda it, name: Shown(it.proxy, forwarded(f"Hash=x;DNS={name}.svc")),
    ),
    "forwarded-whole": (
        'dns = "{name}.svc"',
        lambda it, name: Shown(it.edge, forwarded_whole(it.mutual.authority.client(f"{name}.svc"))),
    ),
}
CALLERS = {"-".join(it): it for it in product(IDENTITIES, ROLES, BINDINGS)}

# What shows nobody, and how it is refused.
NOBODY: dict[str, tuple[Callable[["Stage"], Shown], str]] = {
    "a token": (lambda it: Shown(it.nobody, bearer("stolen")), "CALLER_UNKNOWN"),
    "a certificate": (lambda it: Shown(it.nobody), "CALLER_UNKNOWN"),
    "a JWT": (lambda it: Shown(it.nobody, bearer(KEY.sign(claims("x")))), "CALLER_UNKNOWN"),
    "a proxy": (lambda it: Shown(it.proxy), "CREDENTIALS_MISSING"),
    "a forwarded one": (lambda it: Shown(it.proxy, forwarded("DNS=x.svc")), "CALLER_UNKNOWN"),
    "one that is forwarded whole": (
        lambda it: Shown(it.edge, forwarded_whole(it.nobody)),
        "CALLER_UNKNOWN",
    ),
    "a name where a certificate should be": (
        lambda it: Shown(it.edge, forwarded("DNS=forwarded-admin-unbound.svc")),
        "FORWARDED_UNREADABLE",
    ),
    "one that it forwards itself": (
        lambda it: Shown(it.nobody, forwarded("DNS=forwarded-admin-unbound.svc")),
        "CALLER_UNKNOWN",
    ),
}

CODES = {
    "CALLER_UNKNOWN": "UNAUTHENTICATED",
    "CREDENTIALS_MISSING": "UNAUTHENTICATED",
    "FORWARDED_UNREADABLE": "UNAUTHENTICATED",
    "ROLE_INSUFFICIENT": "PERMISSION_DENIED",
    "CALL_NOT_TIED": "PERMISSION_DENIED",
    "QUEUE_NOT_GRANTED": "PERMISSION_DENIED",
    "NOT_FOUND": "NOT_FOUND",
    "INVALID_REQUEST": "INVALID_ARGUMENT",
}

# Who may call RPCs about events: everybody, or who is bound to `a` or to no connections at all.
OF_ALL_BOUND = {"Subscribe": True, "ListEvents": True, "GetFeedInfo": True}
OF_EVENTS = {**OF_ALL_BOUND, "GetEvent": False, "WatchConference": False}


class Rpc(NamedTuple):
    """A method with a request for it."""

    path: str
    arity: str
    request: Any


# What is served beside the API: with these settings to all callers, and to nobody else.
BESIDE = [
    Rpc("grpc.health.v1.Health/Check", "unary_unary", health_pb2.HealthCheckRequest()),
    Rpc("grpc.health.v1.Health/List", "unary_unary", health_pb2.HealthListRequest()),
    Rpc("grpc.health.v1.Health/Watch", "unary_stream", health_pb2.HealthCheckRequest()),
    *(
        Rpc(
            f"grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            "stream_stream",
            reflection_pb2.ServerReflectionRequest(list_services=""),
        )
        for version in ("v1", "v1alpha")
    ),
]
SETTINGS = {"GATEWAY_HEALTH": "callers", "GATEWAY_REFLECTION": "callers"}


class Stage:
    """The gateway, and who shows what."""

    mutual: Mutual
    nobody: Issued
    proxy: Issued
    edge: Issued

    def __init__(self, mutual: Mutual, provider: RecordingProvider) -> None:
        self.mutual, self.provider = mutual, provider
        self.nobody = mutual.authority.client("nobody.svc")
        self.proxy = mutual.authority.client("envoy.svc")
        self.edge = mutual.authority.client("edge.svc")
        provider.answer = account
        self.event = mutual.gateway.webhooks.event(
            connection_id="a", call_control_id="v3:a", conference_id="conf-a"
        )
        self.shown = {name: IDENTITIES[it[0]][1](self, name) for name, it in CALLERS.items()}
        mutual.put(
            PROXIES,
            mutual.issuer,
            *(
                entry(name, role, IDENTITIES[kind][0].format(name=name, digest=digest(name)))
                + f"{BINDINGS[binding][0]}\n"
                for name, (kind, role, binding) in CALLERS.items()
            ),
        )

    def responses(self, rpc: Rpc, shown: Shown) -> Iterator[bytes]:
        """Make a call; its responses."""
        call = getattr(self.mutual.channel(shown), rpc.arity)(f"/{rpc.path}")
        message = rpc.request.SerializeToString()
        sent = iter([message]) if rpc.arity == "stream_stream" else message
        found = call(sent, timeout=20, metadata=shown.metadata)
        if rpc.arity == "unary_unary":
            yield found
            return
        yield next(found)
        found.cancel()

    def reason(self, rpc: Rpc, shown: Shown) -> str:
        """Why a call is refused, empty if it has a response."""
        try:
            next(self.responses(rpc, shown))
        except grpc.RpcError as error:
            failure = Failure(error)
            reason = str(failure.info.reason)
            assert failure.code.name == CODES[reason]
            return reason
        return ""


@pytest.fixture(scope="module")
def stage(
    loop: LoopThread, shared_provider: RecordingProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("matrix")
    shared_provider.reset()

    def start(**env: str) -> RunningGateway:
        return RunningGateway(loop, folder, shared_provider.base_url, **env)

    mutual = Mutual(loop, start, folder, KEY, **SETTINGS)
    yield Stage(mutual, shared_provider)
    mutual.close()
    mutual.gateway.close()


def rpc_of(method: MethodDescriptor, event_id: str) -> Rpc:
    """A call about a conference, a call and a queue of `a` and `support`."""
    request: Any = GetMessageClass(method.input_type)()
    for field in method.input_type.fields:
        if field.name == "event_id":
            request.event_id = event_id
        elif field.name == "conference_id":
            request.conference_id = "conf-a"
        elif field.name == "queue_name":
            request.queue_name = "support"
        elif field.name.endswith("call_control_id"):
            setattr(request, field.name, "v3:a")
        elif field.name.endswith("call_control_ids"):
            getattr(request, field.name).append("v3:a")
        elif REQUIRED in field.GetOptions().Extensions[field_behavior]:
            is_text = field.type == field.TYPE_STRING
            setattr(request, field.name, "any" if is_text else 1)
    arity = "unary_stream" if method.server_streaming else "unary_unary"
    return Rpc(full_name(method), arity, request)


def expected(method: MethodDescriptor, role: str, who: Caller, request: Any) -> str:
    if ROLES[role] < Role(access_of(method).role):
        return "ROLE_INSUFFICIENT"
    if method.containing_service.name != "EventService":
        return model(who, method.name, request)
    is_own = who.connections is None or "a" in who.connections
    return "" if OF_EVENTS[method.name] or is_own else "NOT_FOUND"


@pytest.mark.parametrize("method", METHODS, ids=lambda it: it.name)
def test_each_caller_may_do_what_its_role_and_its_bounds_allow(
    stage: Stage, method: MethodDescriptor
) -> None:
    rpc, served = rpc_of(method, stage.event), 0
    for name, (_, role, binding) in CALLERS.items():
        wanted = expected(method, role, BINDINGS[binding][1], rpc.request)
        stage.provider.requests.clear()
        assert stage.reason(rpc, stage.shown[name]) == wanted, name
        sent = {it.method for it in stage.provider.requests}
        # Whose a conference is may have been asked for; nothing else was sent.
        assert not wanted or sent <= ({"GET"} if wanted == "NOT_FOUND" else set()), name
        served += not wanted
    # One of each kind of identity at the least: an admin that is bound to nothing.
    assert served >= len(IDENTITIES)


@pytest.mark.parametrize("rpc", BESIDE, ids=lambda it: it.path)
def test_each_caller_may_ask_for_health_and_protos(stage: Stage, rpc: Rpc) -> None:
    for name, shown in stage.shown.items():
        assert stage.reason(rpc, shown) == "", name


@pytest.mark.parametrize("name", [*(it.name for it in METHODS), *(it.path for it in BESIDE)])
def test_nobody_may_do_anything(stage: Stage, name: str) -> None:
    of_api = (rpc_of(it, stage.event) for it in METHODS if it.name == name)
    (rpc,) = (*of_api, *(it for it in BESIDE if it.path == name))
    stage.provider.requests.clear()
    for what, (shown, wanted) in NOBODY.items():
        assert stage.reason(rpc, shown(stage)) == wanted, what
    assert stage.provider.requests == []


def test_nothing_else_is_served(stage: Stage) -> None:
    """What the gateway itself says that it serves is what the tests above go through."""
    response = reflection_pb2.ServerReflectionResponse.FromString(
        next(stage.responses(BESIDE[-1], next(iter(stage.shown.values()))))
    )
    served = {it.name for it in response.list_services_response.service}
    assert served == {it.full_name for it in SERVICES} | {
        it.path.partition("/")[0] for it in BESIDE
    }
    health = health_pb2.DESCRIPTOR.services_by_name["Health"]
    reflection = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]
    for service in (health, reflection):
        paths = {f"{service.full_name}/{it.name}" for it in service.methods}
        assert paths <= {it.path for it in BESIDE}
