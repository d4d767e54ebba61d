"""Health watches and open reflection of callers who are none any more."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from gateway.callers.webtokens import LEEWAY_S
from tests.conftest import StartGateway
from tests.harness.callers import bearer, entry, info_of, with_token
from tests.harness.guarded import Guarded, end_of
from tests.harness.issuer import NAME, IssuerServer, Key, claims, issuer_entry
from tests.harness.loop import LoopThread
from tests.harness.readiness import until

BOARD = with_token("board", "reader", "other")

MakeGuarded = Callable[..., Guarded]


@pytest.fixture
def make(loop: LoopThread, start_gateway: StartGateway, tmp_path: Path) -> MakeGuarded:
    path = tmp_path / "callers.toml"
    closed = {"GATEWAY_HEALTH": "callers", "GATEWAY_REFLECTION": "callers"}
    return lambda *entries: Guarded(loop, start_gateway, path, *entries, **closed)


def watching(guarded: Guarded, token: str) -> Any:
    """A watch on the health, when it is open."""
    stub: Any = health_pb2_grpc.HealthStub(guarded.gateway.channel)
    request = health_pb2.HealthCheckRequest()
    watch = stub.Watch(request, timeout=60, metadata=bearer(token))
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    return watch


def reflecting(guarded: Guarded, token: str, over: threading.Event) -> Any:
    """Reflection that has given a first response, and waits for the next request."""
    method: Any = guarded.gateway.channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )

    def requests() -> Iterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        over.wait(60)

    stream = method(requests(), timeout=60, metadata=bearer(token))
    assert next(stream).list_services_response.service
    return stream


def test_both_end_when_their_token_is_revoked_and_no_other_does(make: MakeGuarded) -> None:
    guarded = make(with_token("desk", "reader", "old"), BOARD)
    over = threading.Event()
    revoked = [watching(guarded, "old"), reflecting(guarded, "old", over)]
    kept = [watching(guarded, "other"), reflecting(guarded, "other", over)]
    guarded.end_revoked()
    assert all(it.is_active() for it in (*revoked, *kept))

    guarded.put(with_token("desk", "reader", "new"), BOARD)

    for it in revoked:
        assert info_of(end_of(it)) == ("UNAUTHENTICATED", "CALLER_UNKNOWN", {})
    assert all(it.is_active() for it in kept)
    over.set()
    assert list(kept[1]) == []
    kept[0].cancel()
    assert kept[0].code() is grpc.StatusCode.CANCELLED
    until(lambda: guarded.identity.streams == 0)


def test_a_watch_goes_on_when_its_caller_has_another_role_or_name(make: MakeGuarded) -> None:
    guarded = make(with_token("desk", "reader", "token"))
    watch = watching(guarded, "token")
    guarded.put(with_token("front", "admin", "token"))
    guarded.end_revoked()

    assert guarded.may_call("token") == [True]
    assert watch.is_active()
    watch.cancel()


@pytest.mark.slow
def test_a_watch_ends_when_its_token_expires(make: MakeGuarded) -> None:
    key = Key("key")
    issuer = IssuerServer(key)
    desk = entry("desk", "reader", f'issuer = "{NAME}", subject = "desk"')
    guarded = make(issuer_entry(issuer.url), desk)
    # Good for so many seconds more that the watch opens on a busy machine.
    watch = watching(guarded, key.sign(claims(exp=round(time.time() - LEEWAY_S) + 4)))

    assert info_of(end_of(watch)) == ("UNAUTHENTICATED", "TOKEN_EXPIRED", {})
    issuer.close()
