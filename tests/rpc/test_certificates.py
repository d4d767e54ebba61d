"""Callers known by their client certificates: real handshakes, every RPC, every role."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import product

import grpc
import pytest

from gateway.callers.caller import Role
from gateway.callers.callers import Callers
from gateway.callers.fetching import fetch_keys
from gateway.callers.file import read_callers
from gateway.schema.access import access_of
from tests.harness.all_methods import METHODS, AllMethods, called, full_name, method_named, outcome
from tests.harness.callers import bearer, entry, with_token
from tests.harness.certificates import Authority, Issued
from tests.harness.gateway import Failure
from tests.harness.loop import LoopThread

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


BOT = with_token("bot", "reader", "token-of-bot")


class Secure:
    """Serves all methods to callers with certificates of `authority`."""

    def __init__(self, loop: LoopThread, authority: Authority) -> None:
        self.authority = authority
        self.callers = Callers(read_callers("\n".join((*FILE, BOT)).encode()), fetch_keys)
        own = authority.server()
        self.server = AllMethods(
            loop,
            self.callers,
            grpc.ssl_server_credentials([(own.key, own.cert)], authority.pem, True),
        )

    def channel(self, shown: Issued | None) -> AbstractContextManager[grpc.Channel]:
        own = (shown.key, shown.cert) if shown else (None, None)
        return self.server.channel(grpc.ssl_channel_credentials(self.authority.pem, *own))


@pytest.fixture(scope="module")
def secure(loop: LoopThread) -> Iterator[Secure]:
    secure = Secure(loop, Authority())
    yield secure
    secure.server.close()


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
            assert outcome(channel, method) == (
                role if allowed else ("PERMISSION_DENIED", "ROLE_INSUFFICIENT", told)
            )


@pytest.mark.parametrize("number", range(len(NOBODYS)))
def test_a_certificate_of_nobody_may_call_nothing(secure: Secure, number: int) -> None:
    names, uris = NOBODYS[number]
    with secure.channel(secure.authority.client(*names, uris=uris)) as channel:
        for method in METHODS:
            assert outcome(channel, method) == ("UNAUTHENTICATED", "CALLER_UNKNOWN", {})


def test_a_certificate_of_another_authority_does_not_even_connect(secure: Secure) -> None:
    forged = Authority("test CA").client(uris=["spiffe://example.org/ns/voice/sa/admin"])
    for shown in (forged, None):
        with secure.channel(shown) as channel:
            failure = called(channel, METHODS[0])
            assert isinstance(failure, Failure)
            assert failure.code is grpc.StatusCode.UNAVAILABLE


def test_a_token_decides_alone_whatever_the_certificate_is(secure: Secure) -> None:
    feed_info = method_named("GetFeedInfo")
    delete = method_named("DeleteQueue")
    admin = secure.authority.client("admin.voice.svc")
    with secure.channel(admin) as channel:
        assert outcome(channel, feed_info) == "admin"
        assert outcome(channel, feed_info, bearer("token-of-bot")) == "bot"
        assert outcome(channel, delete, bearer("token-of-bot"))[0] == "PERMISSION_DENIED"
        assert outcome(channel, feed_info, bearer("revoked"))[1] == "CALLER_UNKNOWN"


def test_a_certificate_without_a_name_for_callers_is_told_what_it_lacks(secure: Secure) -> None:
    with secure.channel(secure.authority.client("10.0.0.7", "*.voice.svc")) as channel:
        failure = called(channel, METHODS[0])
    assert isinstance(failure, Failure)
    assert failure.message == (
        "the client certificate has neither a SPIFFE id (as its only URI) nor a DNS name"
    )


def test_a_refusal_tells_which_names_the_gateway_has_seen(secure: Secure) -> None:
    with secure.channel(secure.authority.client("desk.svc", uris=["spiffe://a.org/b"])) as channel:
        failure = called(channel, METHODS[0])
    assert isinstance(failure, Failure)
    assert failure.message == (
        "no caller that the gateway knows has a name of the client certificate:"
        " spiffe://a.org/b, desk.svc"
    )


def test_a_name_that_is_taken_from_the_file_is_nobodys_at_once(
    secure: Secure, loop: LoopThread
) -> None:
    feed_info = method_named("GetFeedInfo")
    before = secure.callers.roster
    with secure.channel(secure.authority.client("reader.voice.svc")) as channel:
        assert outcome(channel, feed_info) == "reader"
        secure.callers.roster = read_callers(BOT.encode())
        assert outcome(channel, feed_info)[1] == "CALLER_UNKNOWN"
        secure.callers.roster = before
        assert outcome(channel, feed_info) == "reader"
