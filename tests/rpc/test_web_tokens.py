"""JWTs over real sockets, with keys from a real HTTP server that rotates them."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.callers.callers import Callers
from gateway.callers.errors import CallersFileError
from gateway.callers.fetching import BYTES_MAX, fetch_keys
from gateway.callers.file import read_callers
from gateway.callers.keyring import AGAIN_AFTER_S
from gateway.server.call import Call
from tests.conftest import StartGateway
from tests.harness.all_methods import METHODS, AllMethods, full_name, method_named, outcome
from tests.harness.callers import bearer, entry, info_of, with_token
from tests.harness.clock import ManualClock
from tests.harness.gateway import Failure
from tests.harness.guarded import Guarded, end_of
from tests.harness.issuer import NAME, IssuerServer, Key, claims, issuer_entry, jwks
from tests.harness.loop import LoopThread

EC, NEW = Key("ec"), Key("new")
ADMIN = entry("desk", "admin", f'issuer = "{NAME}", subject = "desk"')
Refusal = tuple[str, str, dict[str, str]]

UNKNOWN: Refusal = ("UNAUTHENTICATED", "CALLER_UNKNOWN", {})
EXPIRED: Refusal = ("UNAUTHENTICATED", "TOKEN_EXPIRED", {})

FEED_INFO, SUBSCRIBE = method_named("GetFeedInfo"), method_named("Subscribe")


async def lasting(call: Call[bytes]) -> None:
    await call.write(call.caller.name.encode())
    await asyncio.Event().wait()


class Stage:
    """All methods, callers by JWT, and an issuer; clocks that stand still."""

    def __init__(self, loop: LoopThread, issuer: IssuerServer, *entries: str) -> None:
        self._loop = loop
        self.issuer = issuer
        self.clock, self.steady = ManualClock(time.time()), ManualClock(1_000.0)
        roster = read_callers("\n".join((issuer_entry(issuer.url), *entries)).encode())
        self.callers = Callers(roster, fetch_keys, self.clock, self.steady)
        self.server = AllMethods(loop, self.callers, lasting=lasting, now=self.clock)

    def call(self, token: str, method: Any = FEED_INFO) -> Any:
        with self.server.channel() as channel:
            return outcome(channel, method, bearer(token))

    def learn(self) -> None:
        """Have keys fetched as if they were due."""

        async def learn() -> None:
            ring = self.callers.keys.of(NAME)
            assert ring is not None
            await ring.learnt()

        self._loop.run(learn())

    def end_revoked(self) -> None:
        self._loop.call(self.server.identity.end_revoked)

    def close(self) -> None:
        self.server.close()


@pytest.fixture
def issuer() -> Iterator[IssuerServer]:
    server = IssuerServer(EC)
    yield server
    server.close()


@pytest.fixture
def stage(loop: LoopThread, issuer: IssuerServer) -> Iterator[Stage]:
    stage = Stage(loop, issuer, ADMIN, with_token("board", "reader", "opaque"))
    yield stage
    stage.close()


def opened(channel: grpc.Channel, token: str) -> Any:
    method: Any = channel.unary_stream(f"/{full_name(SUBSCRIBE)}")
    stream = method(b"", metadata=bearer(token), timeout=60)
    assert next(stream) == b"desk"
    return stream


def test_a_token_may_call_what_its_callers_role_may(stage: Stage) -> None:
    token = EC.sign(claims())
    unary = [it for it in METHODS if not it.server_streaming]

    assert {stage.call(token, it) for it in unary} == {"desk"}
    assert stage.issuer.requests == 1


def test_keys_are_rotated_without_a_restart(stage: Stage) -> None:
    assert stage.call(EC.sign(claims())) == "desk"
    stage.issuer.publish(EC, NEW)
    stage.steady.advance(AGAIN_AFTER_S)
    assert stage.call(NEW.sign(claims())) == stage.call(EC.sign(claims())) == "desk"

    stage.issuer.publish(NEW)
    stage.learn()
    assert stage.call(EC.sign(claims())) == UNKNOWN
    assert stage.call(NEW.sign(claims())) == "desk"


def test_an_issuer_that_hangs_holds_up_only_who_needs_its_keys(
    stage: Stage, loop: LoopThread
) -> None:
    known = EC.sign(claims())
    assert stage.call(known) == "desk"
    stage.steady.advance(AGAIN_AFTER_S)
    stage.issuer.publish(EC, NEW)
    stage.issuer.responds.clear()
    with stage.server.channel() as channel:
        method: Any = channel.unary_unary(f"/{full_name(FEED_INFO)}")
        waiting = method.future(b"", metadata=bearer(NEW.sign(claims())), timeout=20)
        given_up = method.future(b"", metadata=bearer(NEW.sign(claims())), timeout=0.3)
        assert outcome(channel, FEED_INFO, bearer(known)) == "desk"
        assert outcome(channel, FEED_INFO, bearer("opaque")) == "board"
        with pytest.raises(grpc.RpcError) as raised:
            given_up.result()
        assert Failure(raised.value).code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert not waiting.done()
        stage.issuer.responds.set()
        assert waiting.result() == b"desk"
    assert stage.issuer.requests == 2
    loop.run(asyncio.wait_for(stage.server.rules.in_flight.wait_until_idle(), 20))
    assert [it.status for it in stage.server.ends].count("DEADLINE_EXCEEDED") == 1


def test_a_shutdown_cuts_off_who_waits_for_keys_with_a_status(
    stage: Stage, loop: LoopThread
) -> None:
    stage.issuer.responds.clear()
    with stage.server.channel() as channel:
        method: Any = channel.unary_unary(f"/{full_name(FEED_INFO)}")
        waiting = method.future(b"", metadata=bearer(EC.sign(claims())), timeout=20)
        assert stage.issuer.asked.wait(20)
        loop.run(stage.server.rules.in_flight.cut_off(5))
        with pytest.raises(grpc.RpcError) as raised:
            waiting.result()
    assert info_of(Failure(raised.value))[:2] == ("UNAVAILABLE", "GATEWAY_SHUTTING_DOWN")


@pytest.mark.parametrize(
    "breaks",
    [
        lambda issuer: setattr(issuer, "status", 500),
        lambda issuer: setattr(issuer, "status", 302),
        lambda issuer: setattr(issuer, "body", b"<html>"),
        lambda issuer: setattr(issuer, "body", b'{"keys": []}'),
        lambda issuer: setattr(issuer, "body", jwks(EC, NEW) + b" " * BYTES_MAX),
    ],
    ids=["500", "redirect", "page", "empty", "huge"],
)
def test_keys_of_before_stay_in_force_while_the_issuer_fails(
    stage: Stage, breaks: Callable[[IssuerServer], None], caplog: pytest.LogCaptureFixture
) -> None:
    assert stage.call(EC.sign(claims())) == "desk"
    breaks(stage.issuer)
    stage.steady.advance(AGAIN_AFTER_S)

    assert stage.call(NEW.sign(claims())) == UNKNOWN
    assert stage.call(EC.sign(claims(n=1))) == "desk"
    assert f"{stage.issuer.url} cannot be had, and those of before stay in force" in caplog.text


def test_callers_are_to_try_again_while_there_are_no_keys(stage: Stage) -> None:
    stage.issuer.status = 503
    token = EC.sign(claims())
    for _ in range(2):
        assert stage.call(token) == ("UNAVAILABLE", "KEYS_UNAVAILABLE", {})
    assert stage.call("opaque") == "board"

    stage.issuer.status = 200
    stage.steady.advance(AGAIN_AFTER_S)
    assert stage.call(token) == "desk"


def test_an_expired_token_is_refused_and_ends_what_it_has_open(stage: Stage) -> None:
    soon, later = EC.sign(claims()), EC.sign(claims(exp=int(time.time()) + 86_400))
    with stage.server.channel() as channel:
        ends, lasts = opened(channel, soon), opened(channel, later)
        stage.clock.advance(3_600)
        stage.end_revoked()
        assert ends.is_active()
        stage.clock.advance(15)
        stage.end_revoked()

        assert info_of(end_of(ends)) == EXPIRED
        assert stage.call(soon) == EXPIRED
        assert lasts.is_active()
        lasts.cancel()


def test_a_stream_ends_when_the_key_of_its_token_is_withdrawn(stage: Stage) -> None:
    stage.issuer.publish(EC, NEW)
    with stage.server.channel() as channel:
        ends, lasts = opened(channel, EC.sign(claims())), opened(channel, NEW.sign(claims()))
        stage.issuer.publish(NEW)
        stage.learn()
        stage.end_revoked()

        assert info_of(end_of(ends)) == UNKNOWN
        assert lasts.is_active()
        lasts.cancel()


def test_a_whole_gateway_takes_jwts_and_keys_from_a_file(
    loop: LoopThread, start_gateway: StartGateway, tmp_path: Path
) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_bytes(jwks(EC))
    path = tmp_path / "callers.toml"
    guarded = Guarded(loop, start_gateway, path, issuer_entry(str(keys)), ADMIN)
    token, new = EC.sign(claims()), NEW.sign(claims())
    assert guarded.may_call(token, new) == [True, False]
    stream = guarded.subscribe(token)

    # The file is looked at by itself, every other second.
    keys.write_bytes(jwks(NEW))
    assert info_of(end_of(stream)) == UNKNOWN
    assert guarded.may_call(token, new) == [False, True]


def test_a_whole_gateway_takes_jwts_and_keys_from_a_url(
    loop: LoopThread, start_gateway: StartGateway, tmp_path: Path, issuer: IssuerServer
) -> None:
    path = tmp_path / "callers.toml"
    guarded = Guarded(loop, start_gateway, path, issuer_entry(issuer.url), ADMIN)

    assert guarded.may_call(EC.sign(claims()), NEW.sign(claims())) == [True, False]
    assert guarded.why_not(EC.sign(claims(exp=1))) == "TOKEN_EXPIRED"
    guarded.put(issuer_entry(issuer.url), entry("x", "reader", f'issuer = "{NAME}", subject = "x"'))
    assert guarded.why_not(EC.sign(claims())) == "CALLER_UNKNOWN"


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot be read: No such file"), (b"{}", "is not a JWKS"), (b'{"keys": []}', "no key")],
)
def test_a_file_of_keys_that_cannot_be_used_stops_the_start(
    loop: LoopThread,
    start_gateway: StartGateway,
    tmp_path: Path,
    content: bytes | None,
    says: str,
) -> None:
    keys = tmp_path / "jwks.json"
    if content is not None:
        keys.write_bytes(content)
    entries = (issuer_entry(str(keys)), ADMIN)
    with pytest.raises(CallersFileError) as raised:
        Guarded(loop, start_gateway, tmp_path / "callers.toml", *entries)

    assert f"issuers.'{NAME}'.jwks: {keys} " in str(raised.value)
    assert says in str(raised.value)
