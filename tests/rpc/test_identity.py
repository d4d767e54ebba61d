"""Who may call: identity x role x RPC, over real sockets."""

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

from conferencing.v1.event_service_pb2 import GetFeedInfoRequest
from gateway.callers.caller import Role
from gateway.schema.access import access_of
from tests.conftest import StartGateway
from tests.harness.all_methods import METHODS, full_name, method_named
from tests.harness.callers import bearer, digest, info_of, put, with_token
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.loop import LoopThread
from tests.harness.provider import RecordingProvider
from tests.harness.readiness import until

ROLES = {role.name.lower(): role for role in Role}

Refusal = tuple[str, str, Mapping[str, str]]

MISSING: Refusal = ("UNAUTHENTICATED", "CREDENTIALS_MISSING", {})
UNKNOWN: Refusal = ("UNAUTHENTICATED", "CALLER_UNKNOWN", {})

Metadata = tuple[tuple[str, str], ...]

# What shows nobody's credentials, and how each is refused.
NOBODY: dict[str, tuple[Metadata, Refusal]] = {
    "nothing": ((), MISSING),
    "other metadata": ((("x-authorization", "Bearer reader"),), MISSING),
    "an unknown token": (bearer("stolen"), UNKNOWN),
    "no token": (bearer(""), UNKNOWN),
    "another scheme": ((("authorization", "Basic reader"),), UNKNOWN),
    "no scheme": ((("authorization", "reader"),), UNKNOWN),
    "two tokens": (bearer("reader") + bearer("operator"), UNKNOWN),
    "a token and more": (bearer("reader x"), UNKNOWN),
    "a long token": (bearer("x" * 7_000), UNKNOWN),
    "a digest": (bearer(digest("reader")), UNKNOWN),
}


def called(channel: grpc.Channel, method: MethodDescriptor, metadata: Metadata) -> Any:
    """Make a call with an empty request: its failure, or None if it had a response."""
    arity: Any = channel.unary_stream if method.server_streaming else channel.unary_unary
    call = arity(f"/{full_name(method)}")
    if not method.server_streaming:
        try:
            call(b"", timeout=20, metadata=metadata)
        except grpc.RpcError as error:
            return error
        return None
    stream = call(b"", timeout=20, metadata=metadata)
    try:
        next(stream)
    except grpc.RpcError as error:
        return error
    stream.cancel()
    return None


def refusal_of(error: Any) -> Refusal | None:
    """How a call was refused for who made it, None if it was not."""
    if error is None or error.code().name not in {"UNAUTHENTICATED", "PERMISSION_DENIED"}:
        return None

    def fail(**_: Any) -> None:
        raise error

    code, reason, metadata = info_of(failure_of(fail))
    return code, reason, dict(metadata)


@pytest.fixture(scope="module")
def guarded(
    loop: LoopThread, shared_provider: RecordingProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway with a caller for each role, known by a token of the role's name."""
    folder = tmp_path_factory.mktemp("guarded")
    path = put(folder / "callers.toml", *(with_token(role, role, role) for role in ROLES))
    running = RunningGateway(loop, folder, shared_provider.base_url, GATEWAY_CALLERS=str(path))
    yield running
    running.close()


@pytest.mark.parametrize(
    ("method", "role"), list(product(METHODS, ROLES)), ids=lambda it: getattr(it, "name", it)
)
def test_each_role_may_call_what_it_should_and_nothing_more(
    guarded: RunningGateway, method: MethodDescriptor, role: str
) -> None:
    needed = Role(access_of(method).role)
    refusal = refusal_of(called(guarded.channel, method, bearer(role)))

    if ROLES[role] >= needed:
        assert refusal is None
    else:
        told = {"method": full_name(method), "role": role, "required_role": needed.name.lower()}
        assert refusal == ("PERMISSION_DENIED", "ROLE_INSUFFICIENT", told)


@pytest.mark.parametrize("method", METHODS, ids=lambda it: it.name)
def test_nobody_may_call_anything(guarded: RunningGateway, method: MethodDescriptor) -> None:
    for shown, (metadata, wanted) in NOBODY.items():
        assert refusal_of(called(guarded.channel, method, metadata)) == wanted, shown


def test_a_method_that_nobody_serves_is_said_to_be_none_to_callers_only(
    guarded: RunningGateway,
) -> None:
    method: Any = guarded.channel.unary_unary("/conferencing.v1.EventService/Nothing")

    assert info_of(failure_of(method, b""))[:2] == MISSING[:2]
    known = failure_of(method, b"", metadata=bearer("reader"))
    assert info_of(known)[:2] == ("UNIMPLEMENTED", "METHOD_NOT_FOUND")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
def test_the_scheme_has_no_case(guarded: RunningGateway, scheme: str) -> None:
    metadata = (("authorization", f"{scheme} reader"),)
    guarded.events.GetFeedInfo(GetFeedInfoRequest(), metadata=metadata)


def test_a_refused_command_sends_nothing_to_the_provider(
    guarded: RunningGateway, provider: RecordingProvider
) -> None:
    method = method_named("ListConferences")
    for metadata, _ in NOBODY.values():
        called(guarded.channel, method, metadata)
    assert provider.requests == []

    called(guarded.channel, method, bearer("reader"))
    assert len(provider.requests) == 1


def test_a_refusal_says_what_to_do_and_names_nobody(guarded: RunningGateway) -> None:
    missing = failure_of(guarded.events.GetFeedInfo, GetFeedInfoRequest())
    assert "send one of them" in missing.message

    unknown = failure_of(
        guarded.events.GetFeedInfo, GetFeedInfoRequest(), metadata=bearer("stolen")
    )
    assert unknown.message == "the credentials are of no caller that the gateway knows"
    kinds = [it.type_url.rpartition(".")[2] for it in unknown.status.details]
    assert kinds == ["ErrorInfo", "RequestInfo"]


def test_refusals_are_counted_by_kind(start_gateway: StartGateway, tmp_path: Path) -> None:
    path = put(tmp_path / "callers.toml", with_token("desk", "reader", "token"))
    gateway = start_gateway(GATEWAY_CALLERS=str(path))
    failure_of(gateway.events.GetFeedInfo, GetFeedInfoRequest(), metadata=bearer("stolen"))

    # A refusal is counted when its call has ended, which its caller may hear of first.
    counted = 'gateway_refusals_total{kind="CALLER_UNKNOWN",subject="call"} 1.0'
    until(lambda: counted in gateway.metrics())


def test_without_a_file_everybody_may_call_everything(gateway: RunningGateway) -> None:
    for metadata, _ in NOBODY.values():
        gateway.events.GetFeedInfo(GetFeedInfoRequest(), metadata=metadata)
