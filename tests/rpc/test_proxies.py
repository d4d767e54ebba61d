"""Callers whose certificates a proxy forwards: who is believed, and who is not."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import grpc
import pytest

from gateway.callers.callers import Callers
from gateway.callers.credentials import Credentials
from gateway.callers.errors import UnidentifiedError
from gateway.callers.fetching import fetch_keys
from gateway.callers.file import read_callers
from gateway.callers.patterns import names_in
from tests.harness.all_methods import AllMethods, called, method_named, outcome
from tests.harness.callers import bearer, entry, with_token
from tests.harness.certificates import Authority
from tests.harness.gateway import Failure
from tests.harness.loop import LoopThread

PROXIES = """
[[proxies]]
spiffe = "spiffe://example.org/*/envoy"
forwards = "names"
[[proxies]]
dns = "envoy.svc"
forwards = "names"
[[proxies]]
dns = "careful.svc"
"""
FILE = (
    entry("admin", "admin", 'spiffe = "spiffe://example.org/sa/admin"', 'dns = "admin.svc"')
    + entry("reader", "reader", 'spiffe = "spiffe://example.org/sa/reader"', 'dns = "reader.svc"')
    + with_token("bot", "reader", "token-of-bot")
)
INFO, DELETE = method_named("GetFeedInfo"), method_named("DeleteQueue")
UNKNOWN: Any = ("UNAUTHENTICATED", "CALLER_UNKNOWN", {})
ADMIN = "By=x;Hash=y;URI=spiffe://example.org/sa/admin"
READER = 'Hash=y;Subject="CN=a";URI=spiffe://example.org/sa/reader;DNS=reader.svc'


def forwarded(*texts: str) -> tuple[tuple[str, str], ...]:
    return tuple(("x-forwarded-client-cert", it) for it in texts)


class Proxied:
    """Serves all methods to proxies and callers with certificates of its authority."""

    def __init__(self, loop: LoopThread) -> None:
        self.authority = Authority()
        self.callers = Callers(read_callers((FILE + PROXIES).encode()), fetch_keys)
        own = self.authority.server()
        self.server = AllMethods(
            loop,
            self.callers,
            grpc.ssl_server_credentials([(own.key, own.cert)], self.authority.pem, True),
        )

    def outcome(self, name: str, metadata: Any, method: Any = INFO) -> Any:
        """What a client with a certificate of this name gets."""
        is_uri = name.startswith("spiffe")
        client = self.authority.client
        shown = client(uris=[name]) if is_uri else client(name)
        credentials = grpc.ssl_channel_credentials(self.authority.pem, shown.key, shown.cert)
        with self.server.channel(credentials) as channel:
            found = called(channel, method, metadata)
            self.message = found.message if isinstance(found, Failure) else ""
            return outcome(channel, method, metadata)


@pytest.fixture(scope="module")
def proxied(loop: LoopThread) -> Iterator[Proxied]:
    proxied = Proxied(loop)
    yield proxied
    proxied.server.close()


@pytest.mark.parametrize("proxy", ["envoy.svc", "spiffe://example.org/edge/envoy"])
def test_a_call_has_the_caller_that_a_trusted_proxy_names(proxied: Proxied, proxy: str) -> None:
    assert proxied.outcome(proxy, forwarded(ADMIN)) == "admin"
    assert proxied.outcome(proxy, forwarded(ADMIN), DELETE) == "admin"
    assert proxied.outcome(proxy, forwarded(READER)) == "reader"
    assert proxied.outcome(proxy, forwarded(READER), DELETE)[1] == "ROLE_INSUFFICIENT"
    assert proxied.outcome(proxy, forwarded("Hash=y;DNS=stranger.svc")) == UNKNOWN
    assert "stranger.svc" in proxied.message


def test_only_what_the_nearest_proxy_says_counts(proxied: Proxied) -> None:
    assert proxied.outcome("envoy.svc", forwarded(f"{ADMIN},{READER}")) == "reader"
    assert proxied.outcome("envoy.svc", forwarded(ADMIN, READER)) == "reader"
    assert proxied.outcome("envoy.svc", forwarded(f"{ADMIN},Hash=y")) == UNKNOWN


@pytest.mark.parametrize("text", [ADMIN, f"{READER},{ADMIN}", "malformed"])
def test_what_anybody_else_says_counts_for_nothing(proxied: Proxied, text: str) -> None:
    assert proxied.outcome("reader.svc", forwarded(text)) == "reader"
    assert proxied.outcome("reader.svc", forwarded(text), DELETE)[1] == "ROLE_INSUFFICIENT"
    for nobody in ("other.svc", "x.envoy.svc", "spiffe://example.org/envoy"):
        assert proxied.outcome(nobody, forwarded(text)) == UNKNOWN


def test_a_proxy_that_says_nothing_is_nobody(proxied: Proxied) -> None:
    assert proxied.outcome("envoy.svc", ()) == ("UNAUTHENTICATED", "CREDENTIALS_MISSING", {})
    assert "the proxy has forwarded neither" in proxied.message
    assert proxied.outcome("envoy.svc", forwarded("Hash=y;URI=")) == UNKNOWN


@pytest.mark.parametrize("text", [f"{ADMIN},", f'Subject="x;{ADMIN}', "admin.svc", ""])
def test_what_cannot_be_read_is_refused_with_where_it_ends(proxied: Proxied, text: str) -> None:
    reason: Any = ("UNAUTHENTICATED", "FORWARDED_UNREADABLE", {})
    assert proxied.outcome("envoy.svc", forwarded(text)) == reason
    assert "x-forwarded-client-cert is malformed at character" in proxied.message


def test_a_token_decides_alone_behind_a_proxy_too(proxied: Proxied) -> None:
    for text in (ADMIN, "malformed"):
        assert proxied.outcome("envoy.svc", (*forwarded(text), *bearer("token-of-bot"))) == "bot"
        assert proxied.outcome("envoy.svc", (*forwarded(text), *bearer("revoked"))) == UNKNOWN


def test_a_proxy_that_is_taken_from_the_file_is_believed_no_more(proxied: Proxied) -> None:
    before = proxied.callers.roster
    identified: Any = proxied.callers.identify(
        Credentials(names_in([], ["envoy.svc"]), forwarded=ADMIN)
    )
    proxied.callers.roster = read_callers(FILE.encode())
    try:
        assert proxied.outcome("envoy.svc", forwarded(ADMIN)) == UNKNOWN
        # So a stream that it carries ends.
        with pytest.raises(UnidentifiedError):
            proxied.callers.again(identified)
    finally:
        proxied.callers.roster = before
    assert proxied.callers.again(identified).name == "admin"


def test_a_proxy_that_forwards_certificates_is_believed_in_nothing_else(proxied: Proxied) -> None:
    reason: Any = ("UNAUTHENTICATED", "FORWARDED_UNREADABLE", {})
    reader = quote(proxied.authority.client("reader.svc").cert, safe="")
    cert = f'Hash=y;Cert="{reader}"'

    assert proxied.outcome("careful.svc", forwarded(cert)) == "reader"
    assert proxied.outcome("careful.svc", forwarded(f"{cert};URI=x;DNS=admin.svc")) == "reader"
    assert proxied.outcome("careful.svc", forwarded(f"{cert},{ADMIN}")) == reason
    assert proxied.outcome("careful.svc", forwarded(cert, cert)) == reason
    assert proxied.outcome("careful.svc", forwarded(ADMIN)) == reason
    assert "the proxy must send Cert" in proxied.message


def test_a_stream_ends_when_its_proxy_is_believed_less(proxied: Proxied) -> None:
    before = proxied.callers.roster
    identified: Any = proxied.callers.identify(
        Credentials(names_in([], ["envoy.svc"]), forwarded=ADMIN)
    )
    text = FILE + PROXIES.replace('dns = "envoy.svc"\nforwards = "names"', 'dns = "envoy.svc"')
    proxied.callers.roster = read_callers(text.encode())
    try:
        with pytest.raises(UnidentifiedError):
            proxied.callers.again(identified)
    finally:
        proxied.callers.roster = before
