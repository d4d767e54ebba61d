"""Health and reflection, and whom they respond to."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from gateway.config import SettingsError
from tests.conftest import StartGateway
from tests.harness.callers import bearer, entry, info_of, put, with_token
from tests.harness.gateway import Failure, RunningGateway
from tests.harness.guarded import Guarded, end_of
from tests.harness.issuer import NAME, IssuerServer, Key, claims, issuer_entry
from tests.harness.loop import LoopThread
from tests.harness.readiness import until

KEY, FORGED = Key("key"), Key("key")

Metadata = tuple[tuple[str, str], ...]

REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"


@pytest.fixture
def issuer() -> Iterator[IssuerServer]:
    server = IssuerServer(KEY)
    yield server
    server.close()


def reflected(gateway: RunningGateway, metadata: Metadata = ()) -> str:
    method: Any = gateway.channel.stream_stream(
        REFLECTION,
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    try:
        (response,) = method(iter([request]), timeout=20, metadata=metadata)
    except grpc.RpcError as error:
        return Failure(error).code.name
    assert len(response.list_services_response.service) > 3
    return "OK"


# Published without type information.
health_stub: Any = health_pb2_grpc.HealthStub


def checked(gateway: RunningGateway, metadata: Metadata = ()) -> str:
    stub: Any = health_stub(gateway.channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=20, metadata=metadata)
    ends = []
    asked: tuple[Callable[[], Any], ...] = (
        lambda: stub.Check(health_pb2.HealthCheckRequest(), timeout=20, metadata=metadata),
        lambda: next(watch),
    )
    for ask in asked:
        try:
            assert ask().status == health_pb2.HealthCheckResponse.SERVING
            ends.append("OK")
        except grpc.RpcError as error:
            ends.append(str(error.code().name))
    watch.cancel()
    assert len(set(ends)) == 1
    return ends[0]


def test_health_and_reflection_are_open_until_a_setting_closes_them(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    path = put(tmp_path / "callers.toml", with_token("desk", "reader", "token"))
    gateway = start_gateway(GATEWAY_CALLERS=str(path))

    assert (reflected(gateway), checked(gateway)) == ("OK", "OK")


def test_health_and_reflection_respond_only_to_callers_if_they_are_told_to(
    start_gateway: StartGateway, tmp_path: Path
) -> None:
    path = put(tmp_path / "callers.toml", with_token("desk", "reader", "token"))
    gateway = start_gateway(
        GATEWAY_CALLERS=str(path), GATEWAY_REFLECTION="callers", GATEWAY_HEALTH="callers"
    )

    assert (reflected(gateway), checked(gateway)) == ("UNAUTHENTICATED",) * 2
    stolen = bearer("stolen")
    assert (reflected(gateway, stolen), checked(gateway, stolen)) == ("UNAUTHENTICATED",) * 2
    known = bearer("token")
    assert (reflected(gateway, known), checked(gateway, known)) == ("OK", "OK")


def test_health_and_reflection_know_callers_by_jwts_whose_keys_they_wait_for(
    start_gateway: StartGateway, tmp_path: Path, issuer: IssuerServer
) -> None:
    desk = entry("desk", "reader", f'issuer = "{NAME}", subject = "desk"')
    path = put(tmp_path / "callers.toml", issuer_entry(issuer.url), desk)
    issuer.responds.clear()
    gateway = start_gateway(
        GATEWAY_CALLERS=str(path), GATEWAY_REFLECTION="callers", GATEWAY_HEALTH="callers"
    )
    stub: Any = health_stub(gateway.channel)
    waiting = stub.Check.future(
        health_pb2.HealthCheckRequest(), timeout=20, metadata=bearer(FORGED.sign(claims()))
    )
    assert issuer.asked.wait(20)
    assert not waiting.done()
    issuer.responds.set()

    assert Failure(waiting.exception()).info.reason == "CALLER_UNKNOWN"
    known = bearer(KEY.sign(claims()))
    assert (reflected(gateway, known), checked(gateway, known)) == ("OK", "OK")


def test_who_is_revoked_is_told_no_more_of_health_and_protos(
    loop: LoopThread, start_gateway: StartGateway, tmp_path: Path
) -> None:
    both = with_token("board", "reader", "other")
    settings = {"GATEWAY_REFLECTION": "callers", "GATEWAY_HEALTH": "callers"}
    path, desk = tmp_path / "callers.toml", with_token("desk", "reader", "token")
    guarded = Guarded(loop, start_gateway, path, desk, both, **settings)
    gateway = guarded.gateway
    watches, reflections = (
        [opened(gateway, bearer(it)) for it in ("token", "other")] for opened in (watched, asking)
    )
    assert guarded.identity.streams == 4

    guarded.put(with_token("desk", "reader", "new"), both)

    for revoked, kept in (watches, reflections):
        assert info_of(end_of(revoked)) == ("UNAUTHENTICATED", "CALLER_UNKNOWN", {})
        assert kept.is_active()
        kept.cancel()
    until(lambda: guarded.identity.streams == 0)


def watched(gateway: RunningGateway, metadata: Metadata) -> Any:
    """A watch on the health that is open."""
    stub: Any = health_stub(gateway.channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=20, metadata=metadata)
    next(watch)
    return watch


def asking(gateway: RunningGateway, metadata: Metadata) -> Any:
    """A stream of questions about protos of which one has been answered."""
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    method: Any = gateway.channel.stream_stream(REFLECTION)

    def questions() -> Iterator[bytes]:
        yield request.SerializeToString()
        ended.wait(20)

    ended = threading.Event()
    stream = method(questions(), timeout=20, metadata=metadata)
    stream.add_callback(ended.set)
    next(stream)
    return stream


def test_reflection_can_be_off(start_gateway: StartGateway) -> None:
    gateway = start_gateway(GATEWAY_REFLECTION="off")

    assert (reflected(gateway), checked(gateway)) == ("UNIMPLEMENTED", "OK")


@pytest.mark.parametrize("name", ["GATEWAY_REFLECTION", "GATEWAY_HEALTH"])
def test_nothing_is_for_callers_where_nobody_says_who_they_are(
    start_gateway: StartGateway, name: str
) -> None:
    with pytest.raises(SettingsError, match=f"{name}=callers requires GATEWAY_CALLERS"):
        start_gateway(**{name: "callers"})
