"""The console where other hosts reach it, in mutual TLS: who looks, and what they may."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from gateway.callers.certificates import verified_names
from tests.conftest import StartGateway
from tests.console.pages import Shown, asked, basic, streamed
from tests.console.test_pages import MUTE, OWN, PATHS
from tests.harness.callers import entry, put, with_token
from tests.harness.certificates import Authority, Issued
from tests.harness.loop import LoopThread
from tests.harness.provider import RecordingProvider

SPIFFE = "spiffe://example.org/sa/"
PROXIES = (
    '[[proxies]]\ndns = "envoy.svc"\nforwards = "names"\n[[proxies]]\ndns = "edge.svc"\n',
    entry("eye", "reader", f'spiffe = "{SPIFFE}eye"', 'dns = "eye.svc"'),
    entry("bound", "admin", 'dns = "bound.svc"') + 'connections = ["1"]\n',
    with_token("bot", "reader", "token-of-bot"),
)
HAND = entry("hand", "operator", 'dns = "hand.svc"')
FORWARDED = "x-forwarded-client-cert"


class Served:
    """A gateway whose admin address other hosts reach, for clients of its authority."""

    def __init__(self, loop: LoopThread, start: StartGateway, folder: Path, base_url: str) -> None:
        self._loop, self._folder = loop, folder
        self.authority = Authority()
        self.put(HAND)
        cert, key = self.authority.server().write(folder, "server")
        self.gateway = start(
            base_url,
            GATEWAY_CONSOLE="commands",
            GATEWAY_CALLERS=str(folder / "callers.toml"),
            GATEWAY_ADMIN_ADDRESS="0.0.0.0:0",
            GATEWAY_ADMIN_TLS_CERT=str(cert),
            GATEWAY_ADMIN_TLS_KEY=str(key),
            GATEWAY_ADMIN_TLS_CLIENT_CA=str(self.authority.write(folder)),
        )
        self.address = f"127.0.0.1:{self.gateway.admin_address.rpartition(':')[2]}"

    def put(self, *entries: str) -> None:
        """Write the callers file: these beside those that are always there."""
        put(self._folder / "callers.toml", *PROXIES, *entries)

    def look(self) -> None:
        """Have the file looked at, as happens every second anyway."""
        callers = self.gateway.app.callers
        assert callers is not None
        for _ in range(2):
            self._loop.run(callers.look())

    def tls(self, shown: Issued) -> ssl.SSLContext:
        """What a client connects with that has a certificate."""
        context = ssl.create_default_context(cadata=self.authority.pem.decode())
        context.load_cert_chain(*shown.write(self._folder, "client"))
        return context

    def named(self, name: str) -> ssl.SSLContext:
        """What a client connects with whose certificate has a name."""
        client = self.authority.client
        return self.tls(client(uris=[name]) if "://" in name else client(name))

    def asked(
        self, name: str, headers: Mapping[str, str] | None = None, path: str = "/console"
    ) -> Shown:
        return asked(self.address, path, headers, tls=self.named(name))

    def command(self, name: str, headers: Mapping[str, str] | None = None) -> Shown:
        sent = OWN | dict(headers or {})
        return asked(self.address, "/console/commands", sent, MUTE, self.named(name))


@pytest.fixture
def served(
    loop: LoopThread, start_gateway: StartGateway, provider: RecordingProvider, tmp_path: Path
) -> Served:
    return Served(loop, start_gateway, tmp_path, provider.base_url)


def reason(shown: Shown) -> tuple[int, str]:
    return shown.status, "" if shown.status == 200 else shown.reason


UNKNOWN = (401, "CALLER_UNKNOWN")
MALFORMED = (401, "FORWARDED_UNREADABLE")
LOW = (403, "COMMAND_NOT_ALLOWED")
OK = (200, "")


def test_a_certificate_is_its_caller_with_its_role(served: Served) -> None:
    for name in (f"{SPIFFE}eye", "eye.svc"):
        assert reason(served.asked(name)) == OK
        assert reason(served.command(name)) == LOW
    hello = next(streamed(served.address, "/console/stream", tls=served.named("hand.svc")))
    assert hello["hello"]["caller"] == "hand"
    assert reason(served.command("hand.svc")) == OK
    assert reason(served.asked("bound.svc")) == (403, "CALLER_BOUND")
    for path in PATHS:
        assert reason(served.asked("stranger.svc", path=path)) == UNKNOWN
    # What is not a caller's name counts for nothing, nor does who has no certificate of this CA.
    assert reason(served.asked("*.svc")) == UNKNOWN
    assert reason(asked(served.address, tls=served.tls(served.authority.client()))) == UNKNOWN
    others = Authority().client("hand.svc")
    with pytest.raises(OSError):  # noqa: PT011 - in TLS 1.3 the first read fails, one way or another
        asked(served.address, tls=served.tls(others))


def test_a_token_decides_alone(served: Served) -> None:
    assert reason(served.command("hand.svc", basic("token-of-bot"))) == LOW
    assert reason(served.asked("hand.svc", basic("revoked"))) == UNKNOWN
    assert reason(served.asked("stranger.svc", basic("token-of-bot"))) == OK
    assert reason(served.asked("hand.svc", {"authorization": "Digest x"})) == UNKNOWN


def test_a_proxy_is_believed_and_nobody_else(served: Served) -> None:
    hand: Any = {FORWARDED: "Hash=x;DNS=hand.svc"}
    whole = {FORWARDED: f'Cert="{quote(served.authority.client("hand.svc").cert, safe="")}"'}

    assert reason(served.command("envoy.svc", hand)) == OK
    assert reason(served.command("edge.svc", whole)) == OK
    assert reason(served.asked("edge.svc", hand)) == MALFORMED
    assert reason(served.asked("envoy.svc", {FORWARDED: "malformed"})) == MALFORMED
    assert reason(served.asked("envoy.svc")) == (401, "CREDENTIALS_MISSING")
    assert reason(served.asked("envoy.svc", {FORWARDED: "DNS=stranger.svc"})) == UNKNOWN
    assert reason(served.command("eye.svc", hand)) == LOW
    assert reason(served.asked("stranger.svc", hand)) == UNKNOWN


@pytest.mark.parametrize(
    "changed",
    [(), (entry("hand", "reader", 'dns = "hand.svc"'),), (HAND + 'connections = ["1"]\n',)],
    ids=["revoked", "lower", "bound"],
)
def test_who_is_not_the_same_any_more_looks_no_longer(
    served: Served, changed: tuple[str, ...]
) -> None:
    paths = ("/console/stream", "/console/conferences/c1")
    streams = [streamed(served.address, it, tls=served.named("hand.svc")) for it in paths]
    for it in streams:
        next(it)

    served.put(*changed)
    served.look()

    # They end, and a page that asks again gets what it may have now.
    for it in streams:
        for _ in it:
            pass
    assert reason(served.asked("hand.svc")) != OK or reason(served.command("hand.svc")) == LOW


def test_a_certificate_that_cannot_be_read_names_nobody() -> None:
    assert verified_names(b"no certificate") == ()
