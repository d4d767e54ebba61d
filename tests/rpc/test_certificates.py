"""Callers known by their client certificates: real handshakes, every RPC, every role."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

from gateway.app import COMMAND_SERVICES, EVENT_SERVICE
from gateway.bytebudget import ByteBudget
from gateway.callers.caller import Role
from gateway.callers.callers import Callers
from gateway.callers.fetching import fetch_keys
from gateway.callers.file import read_callers
from gateway.records.calls import CallEnded
from gateway.schema.access import access_of, compile_access
from gateway.server.call import Call
from gateway.server.grpc.rules import Rules
from gateway.server.grpc.shell import MethodHandler
from gateway.server.hooks.identity import Identity
from tests.harness.callers import bearer, entry, info_of, with_token
from tests.harness.certificates import Authority, Issued
from tests.harness.gateway import Failure
from tests.harness.loop import LoopThread

SERVICES = (*COMMAND_SERVICES, EVENT_SERVICE)
METHODS = [it for service in SERVICES for it in service.methods]
ROLES = {role.name.lower(): role for role in Role}

# A caller of each role, known by a name of each kind, exact and by a pattern.
FILE = [
    entry(
        role,
        role,
        f'spiffe = "spiffe://example.org/ns/voice/sa/{role}"',
        f'spiffe = "spiffe://example.org/team/*/{role}"',
        f'dns = "{role}.voice.svc"',
        f'dns = "*.{role}.svc"',
    )
    for role in ROLES
]


def identities_of(role: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """DNS names and URIs of certificates that are this caller's."""
    return [
        ((), (f"spiffe://example.org/ns/voice/sa/{role}",)),
        ((), (f"spiffe://example.org/team/night/{role}",)),
        ((f"{role}.voice.svc",), ()),
        ((f"pod-7.{role}.svc", "10.0.0.7", "other.example"), ()),
        ((f"{role.upper()}.voice.svc",), ("https://example.org/desk",)),
    ]


# Those of nobody: names that are near to those of callers.
NOBODYS: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("other.svc",), ()),
    (("admin.voice.svc.evil.example",), ()),
    (("a.b.admin.svc",), ()),
    (("admin.svc",), ()),
    (("*.voice.svc",), ()),
    (("*.admin.svc",), ()),
    ((), ("spiffe://example.org/ns/voice/sa/admin/more",)),
    ((), ("spiffe://example.org/team/admin",)),
    ((), ("spiffe://evil.example/ns/voice/sa/admin",)),
    ((), ("spiffe://example.org/ns/voice/sa/Admin",)),
    ((), ("https://example.org/ns/voice/sa/admin",)),
    # A certificate with two URIs is no SPIFFE document.
    ((), ("spiffe://example.org/ns/voice/sa/admin", "spiffe://example.org/ns/voice/sa/reader")),
    # A name in the certificate of another caller.
    (("admin.voice.svc", "reader.voice.svc"), ()),
    (("reader.voice.svc",), ("spiffe://example.org/ns/voice/sa/admin",)),
]


class Secure(grpc.GenericRpcHandler):
    """Serves all methods, which do nothing, to callers with certificates of `authority`."""

    def __init__(self, loop: LoopThread, authority: Authority) -> None:
        self._loop = loop
        self.authority = authority
        self.callers = Callers(read_callers("\n".join((*FILE, BOT)).encode()), fetch_keys)
        identity = Identity(self.callers, compile_access(SERVICES))
        self.ends: list[CallEnded] = []
        rules = loop.call(lambda: Rules.of(self.ends.append, ByteBudget(), identity=identity))
        self._handlers: dict[str, MethodHandler] = {}
        for method in METHODS:
            path = f"/{full_name(method)}"
            if method.server_streaming:
                self._handlers[path] = rules.shell.stream(path, bytes, write_name)
            else:
                self._handlers[path] = rules.shell.unary(path, bytes, name)
        self.server: grpc.aio.Server = loop.call(grpc.aio.server)
        self.server.add_generic_rpc_handlers((self,))
        own = authority.server()
        credentials = grpc.ssl_server_credentials(
            [(own.key, own.cert)], authority.pem, require_client_auth=True
        )
        self.port = self.server.add_secure_port("127.0.0.1:0", credentials)
        loop.run(self.server.start())

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> MethodHandler | None:
        return self._handlers.get(handler_call_details.method)

    def channel(self, shown: Issued | None) -> grpc.Channel:
        own = (shown.key, shown.cert) if shown else (None, None)
        credentials = grpc.ssl_channel_credentials(self.authority.pem, *own)
        return grpc.secure_channel(f"127.0.0.1:{self.port}", credentials)

    def close(self) -> None:
        self._loop.run(self.server.stop(0))


BOT = with_token("bot", "reader", "token-of-bot")


async def name(call: Call[bytes]) -> bytes:
    return call.caller.name.encode()


async def write_name(call: Call[bytes]) -> None:
    await call.write(call.caller.name.encode())


def full_name(method: MethodDescriptor) -> str:
    return f"{method.containing_service.full_name}/{method.name}"


def called(channel: grpc.Channel, method: MethodDescriptor, metadata: Any = ()) -> Any:
    """Who the server found to be calling, or how it refused."""
    arity: Any = channel.unary_stream if method.server_streaming else channel.unary_unary
    call = arity(f"/{full_name(method)}")
    try:
        response = call(b"", timeout=20, metadata=metadata)
        (found,) = list(response) if method.server_streaming else [response]
    except grpc.RpcError as error:
        return info_of(Failure(error))
    return bytes(found).decode()


@pytest.fixture(scope="module")
def secure(loop: LoopThread) -> Iterator[Secure]:
    secure = Secure(loop, Authority())
    yield secure
    secure.close()


@pytest.mark.parametrize(
    ("role", "number"), list(product(ROLES, range(len(identities_of("any"))))), ids=str
)
def test_each_certificate_may_call_what_its_callers_role_may(
    secure: Secure, role: str, number: int
) -> None:
    names, uris = identities_of(role)[number]
    with secure.channel(secure.authority.client(*names, uris=uris)) as channel:
        for method in METHODS:
            needed = Role(access_of(method).role)
            told = {"method": full_name(method), "role": role, "required_role": needed.name.lower()}
            allowed = ROLES[role] >= needed
            assert called(channel, method) == (
                role if allowed else ("PERMISSION_DENIED", "ROLE_INSUFFICIENT", told)
            )


@pytest.mark.parametrize("number", range(len(NOBODYS)))
def test_a_certificate_of_nobody_may_call_nothing(secure: Secure, number: int) -> None:
    names, uris = NOBODYS[number]
    with secure.channel(secure.authority.client(*names, uris=uris)) as channel:
        for method in METHODS:
            assert called(channel, method) == ("UNAUTHENTICATED", "CALLER_UNKNOWN", {})


def test_a_certificate_of_another_authority_does_not_even_connect(secure: Secure) -> None:
    forged = Authority("test CA").client(uris=["spiffe://example.org/ns/voice/sa/admin"])
    for shown in (forged, None):
        with secure.channel(shown) as channel:
            method: Any = channel.unary_unary(f"/{full_name(METHODS[0])}")
            with pytest.raises(grpc.RpcError) as raised:
                method(b"", timeout=20)
            assert Failure(raised.value).code is grpc.StatusCode.UNAVAILABLE


def test_a_token_decides_alone_whatever_the_certificate_is(secure: Secure) -> None:
    (feed_info,) = [it for it in METHODS if it.name == "GetFeedInfo"]
    (delete,) = [it for it in METHODS if it.name == "DeleteQueue"]
    admin = secure.authority.client("admin.voice.svc")
    with secure.channel(admin) as channel:
        assert called(channel, feed_info) == "admin"
        assert called(channel, feed_info, bearer("token-of-bot")) == "bot"
        assert called(channel, delete, bearer("token-of-bot"))[0] == "PERMISSION_DENIED"
        assert called(channel, feed_info, bearer("revoked"))[1] == "CALLER_UNKNOWN"


def test_a_certificate_without_a_name_for_callers_is_told_what_it_lacks(secure: Secure) -> None:
    with secure.channel(secure.authority.client("10.0.0.7", "*.voice.svc")) as channel:
        method: Any = channel.unary_unary(f"/{full_name(METHODS[0])}")
        with pytest.raises(grpc.RpcError) as raised:
            method(b"", timeout=20)
    assert Failure(raised.value).message == (
        "the client certificate has neither a SPIFFE id (as its only URI) nor a DNS name"
    )


def test_a_refusal_tells_which_names_the_gateway_has_seen(secure: Secure) -> None:
    with secure.channel(secure.authority.client("desk.svc", uris=["spiffe://a.org/b"])) as channel:
        method: Any = channel.unary_unary(f"/{full_name(METHODS[0])}")
        with pytest.raises(grpc.RpcError) as raised:
            method(b"", timeout=20)
    assert Failure(raised.value).message == (
        "no caller that the gateway knows has a name of the client certificate:"
        " spiffe://a.org/b, desk.svc"
    )


def test_a_name_that_is_taken_from_the_file_is_nobodys_at_once(
    secure: Secure, loop: LoopThread
) -> None:
    (feed_info,) = [it for it in METHODS if it.name == "GetFeedInfo"]
    before = secure.callers.roster
    with secure.channel(secure.authority.client("reader.voice.svc")) as channel:
        assert called(channel, feed_info) == "reader"
        secure.callers.roster = read_callers(BOT.encode())
        assert called(channel, feed_info)[1] == "CALLER_UNKNOWN"
        secure.callers.roster = before
        assert called(channel, feed_info) == "reader"
