"""A gateway whose log is a NATS stream: what it serves of it, and what it does without a broker."""

import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from conferencing.v1.event_service_pb2 import (
    INDEX_STATE_CURRENT,
    INDEX_STATE_CUT_OFF,
    GetEventRequest,
    GetFeedInfoRequest,
    ListEventsRequest,
    SubscribeRequest,
    SubscribeResponse,
)
from tests.harness.loop import LoopThread
from tests.harness.nats import (
    NatsCluster,
    one_server,
    published,
    running,
    until,
    with_nats,
)
from tests.harness.pages import http_get
from tests.harness.ports import free_ports
from tests.harness.process import GatewayProcess, command, environment
from tests.harness.reading import followed
from tests.harness.webhooks import Poster, Signer, webhook

pytestmark = [with_nats, pytest.mark.slow]

# Some seconds' worth, at 80 streams a second.
_MANY_CONNECTIONS = 200


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsCluster]:
    with running(one_server(tmp_path / "nats")) as cluster:
        yield cluster


def _gateway(cluster: NatsCluster, folder: Path, name: str = "a", **env: str) -> GatewayProcess:
    return GatewayProcess(
        folder,
        GATEWAY_EVENT_LOG=cluster.url("EVENTS"),
        GATEWAY_INDEX=str(folder / f"{name}.db"),
        **env,
    )


def _listed(gateway: GatewayProcess) -> list[str]:
    return [it.id for it in gateway.events.ListEvents(ListEventsRequest()).events]


def test_a_webhook_that_one_gateway_takes_is_streamed_by_all(
    broker: NatsCluster, tmp_path: Path
) -> None:
    first = _gateway(broker, tmp_path, "a", GATEWAY_REPLICA="first")
    with first as a, _gateway(broker, tmp_path, "b") as b:
        streams = [it.events.Subscribe(SubscribeRequest(), timeout=60) for it in (a, b)]
        for stream in streams:
            next(stream)

        assert a.webhooks.post(webhook(id_="one")).status == 200
        assert b.webhooks.post(webhook(id_="two")).status == 200
        assert b.webhooks.post(webhook(id_="one")).status == 200

        seen = [_events(stream, 2) for stream in streams]
        assert [[id_ for id_, _ in it] for it in seen] == [["one", "two"]] * 2
        assert seen[0] == seen[1], "with the same cursors"
        info = a.events.GetFeedInfo(GetFeedInfoRequest())
        assert (info.backend, info.event_count) == ("jetstream", 2)
        assert info.epoch == b.events.GetFeedInfo(GetFeedInfoRequest()).epoch
        assert "one server keeps each event" in "".join(a.log)
        assert (info.replica, info.index.state) == ("first", INDEX_STATE_CURRENT)
        assert info.index.log_events == 2
        assert info.durability.startswith("one server keeps each event: a power cut costs what")
        about = json.loads(http_get(a.admin_address, "/readyz", "application/json")[1])
        assert (about["replica"], about["backend"]) == ("first", "jetstream")
        assert about["durability"] == info.durability


def _events(stream: Iterator[SubscribeResponse], count: int) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    while len(found) < count:
        found += [(it.id, it.cursor) for it in next(stream).events]
    return found


def test_an_empty_index_is_filled_before_anybody_is_served(
    broker: NatsCluster, tmp_path: Path
) -> None:
    with _gateway(broker, tmp_path, "a") as gateway:
        for number in range(30):
            assert gateway.webhooks.post(webhook(id_=f"e{number}")).status == 200
        cursor = gateway.events.GetFeedInfo(GetFeedInfoRequest()).oldest_cursor
        listed = _listed(gateway)

    # A gateway on another machine, and the same one that has lost its disk.
    with _gateway(broker, tmp_path, "other") as gateway:
        request = SubscribeRequest(after_cursor=cursor, stop_when_caught_up=True)
        responses = list(gateway.events.Subscribe(request, timeout=60))
        assert len([it for response in responses for it in response.events]) == 30
        assert _listed(gateway) == listed
        assert http_get(gateway.admin_address, "/readyz") == (200, "ready\n")
        assert (
            "\ngateway_log_index_behind_events 0.0\n"
            in http_get(gateway.admin_address, "/metrics")[1]
        )


def test_without_a_broker_webhooks_wait_and_readers_do_not(
    broker: NatsCluster, tmp_path: Path
) -> None:
    (server,) = broker.servers
    with _gateway(broker, tmp_path) as gateway:
        assert gateway.webhooks.post(webhook(id_="before")).status == 200
        request = SubscribeRequest(heartbeat_interval=Duration(seconds=1))
        stream = gateway.events.Subscribe(request, timeout=120)
        assert next(stream).live

        server.kill()
        gateway.wait_for("health: event_log: there is no connection")
        refused = gateway.webhooks.post(webhook(id_="while"))
        assert (refused.status, refused.reason) == (503, "LOG_UNAVAILABLE")
        assert int(refused.headers["retry-after"]) > 0
        status, text = http_get(gateway.admin_address, "/readyz")
        assert status == 503
        assert "there is no connection to nats://127.0.0.1" in text
        # What is stored is read on, and streams stay.
        assert _listed(gateway) == ["before"]
        beat = next(stream)
        assert (beat.live, beat.lag.state) == (False, INDEX_STATE_CUT_OFF)

        server.restart()
        until(lambda: http_get(gateway.admin_address, "/readyz")[0] == 200, "it is ready again")
        assert gateway.webhooks.post(webhook(id_="while")).status == 200
        assert [id_ for id_, _ in _events(stream, 1)] == ["while"]
        beat = next(it for it in stream if not it.events)
        assert (beat.live, beat.HasField("lag")) == (True, False)


@contextmanager
def _serving(folder: Path, url: str, **addresses: str) -> Iterator["subprocess.Popen[str]"]:
    env = environment(
        TELNYX_API_KEY="KEY0123456789",
        TELNYX_PUBLIC_KEY=Signer().public_key,
        GATEWAY_EVENT_LOG=url,
        GATEWAY_BACKFILL="off",
        GATEWAY_UPSTREAM_PROBE="off",
        **addresses,
    )
    serve = command("serve")
    with subprocess.Popen(serve, cwd=folder, env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_gateway_with_an_index_serves_readers_before_its_broker_is_there(
    broker: NatsCluster, tmp_path: Path
) -> None:
    (server,) = broker.servers
    with _gateway(broker, tmp_path) as gateway:
        assert gateway.webhooks.post(webhook(id_="before")).status == 200
        cursor = gateway.events.GetFeedInfo(GetFeedInfoRequest()).oldest_cursor
    server.kill()

    with _gateway(broker, tmp_path) as gateway:
        assert "is not there yet, and is waited for" in "".join(gateway.log)
        assert _listed(gateway) == ["before"]
        stream = gateway.events.Subscribe(SubscribeRequest(after_cursor=cursor), timeout=120)
        assert [id_ for id_, _ in _events(stream, 1)] == ["before"]
        refused = gateway.webhooks.post(webhook(id_="while"))
        assert (refused.status, refused.reason) == (503, "LOG_UNAVAILABLE")
        assert int(refused.headers["retry-after"]) > 0
        assert http_get(gateway.admin_address, "/healthz")[0] == 200
        status, text = http_get(gateway.admin_address, "/readyz")
        assert status == 503
        assert "there is no connection to nats://127.0.0.1" in text

        server.restart()
        until(lambda: http_get(gateway.admin_address, "/readyz")[0] == 200, "it is ready")
        assert gateway.webhooks.post(webhook(id_="while")).status == 200
        assert [id_ for id_, _ in _events(stream, 1)] == ["while"], "in the same stream and log"


def test_a_gateway_without_an_index_waits_for_its_broker(tmp_path: Path) -> None:
    cluster = one_server(tmp_path / "nats")
    rpc, webhooks, admin, addresses = _addresses()

    with _serving(tmp_path, cluster.url("EVENTS"), **addresses) as process:
        until(lambda: _listens(webhooks), "webhooks are received")
        assert http_get(admin, "/healthz")[0] == 200
        status, text = http_get(admin, "/readyz")
        assert status == 503
        assert "there is no connection to nats://127.0.0.1" in text
        assert Poster(webhooks, Signer()).post(webhook()).status == 503
        # Nobody knows which log it would read.
        assert not _listens(rpc)

        with running(cluster):
            until(lambda: _listens(rpc), "gRPC is served")
            assert Poster(webhooks, Signer()).post(webhook()).status == 200
            assert http_get(admin, "/readyz")[0] == 200
            process.send_signal(signal.SIGTERM)
            _, told = process.communicate(timeout=60)

    assert process.returncode == 0
    assert "Traceback" not in told


def test_a_gateway_that_is_ended_while_it_waits_ends(tmp_path: Path) -> None:
    cluster = one_server(tmp_path / "nats")
    _, webhooks, _, addresses = _addresses()

    with _serving(tmp_path, cluster.url("EVENTS"), **addresses) as process:
        until(lambda: _listens(webhooks), "webhooks are received")
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)

    assert process.returncode == 0
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("authorization: { users: [ { user: gw, password: right } ] }", "Authorization Violation"),
        ("jetstream: { max_file_store: 1MB }", "insufficient storage"),
    ],
)
def test_what_will_not_pass_ends_a_gateway_at_once(tmp_path: Path, more: str, words: str) -> None:
    (tmp_path / "login").write_text("gw:wrong")
    with (
        running(one_server(tmp_path / "nats", more)) as cluster,
        _serving(
            tmp_path, cluster.url("EVENTS"), GATEWAY_NATS_LOGIN=str(tmp_path / "login")
        ) as process,
    ):
        _, told = process.communicate(timeout=60)

    assert process.returncode == 1
    assert f"cannot open the event log {cluster.url('EVENTS')}" in told
    assert words in told
    assert "wrong" not in told
    assert "Traceback" not in told


def _addresses() -> tuple[str, str, str, dict[str, str]]:
    """Return free addresses for gRPC, webhooks and the admin's port, and their settings."""
    rpc, webhooks, admin = (f"127.0.0.1:{it}" for it in free_ports(3))
    settings = {
        "GATEWAY_GRPC_ADDRESS": rpc,
        "GATEWAY_HTTP_ADDRESS": webhooks,
        "GATEWAY_ADMIN_ADDRESS": admin,
    }
    return rpc, webhooks, admin, settings


def _listens(address: str) -> bool:
    host, port = address.split(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except OSError:
        return False


def test_until_its_index_is_filled_a_gateway_serves_what_comes_and_is_not_ready(
    broker: NatsCluster, tmp_path: Path, loop: LoopThread
) -> None:
    with _gateway(broker, tmp_path) as gateway:
        assert gateway.webhooks.post(webhook(id_="before")).status == 200
        start = gateway.events.GetFeedInfo(GetFeedInfoRequest()).oldest_cursor
    # What cannot be read keeps the index behind.
    loop.run(published(broker, "EVENTS.theirs", b"not an event"))

    with _gateway(broker, tmp_path, "other") as gateway:
        metrics = http_get(gateway.admin_address, "/metrics")[1]
        behind = re.search(r"\ngateway_log_index_behind_events ([12])\.0\n", metrics)
        assert behind is not None
        assert http_get(gateway.admin_address, "/healthz")[0] == 200
        assert http_get(gateway.admin_address, "/readyz")[0] == 503
        often = Duration(seconds=1)
        live, older = (
            gateway.events.Subscribe(it, timeout=60)
            for it in (
                SubscribeRequest(heartbeat_interval=often),
                SubscribeRequest(after_cursor=start),
            )
        )
        assert next(live).live
        opened = next(older)
        assert not opened.live
        assert opened.HasField("lag")

        assert gateway.webhooks.post(webhook(id_="after")).status == 200
        assert [id_ for id_, _ in _events(live, 1)] == ["after"]
        info = gateway.events.GetFeedInfo(GetFeedInfoRequest())
        assert (info.newest_sequence, info.index.log_events) == (3, 3)
        with pytest.raises(grpc.RpcError) as raised:
            gateway.events.GetEvent(GetEventRequest(event_id="after"))
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "the index of this gateway is behind the event log" in str(raised.value.details())

        loop.run(published(broker, "$JS.API.STREAM.MSG.DELETE.EVENTS", b'{"seq": 2}'))
        until(lambda: http_get(gateway.admin_address, "/readyz")[0] == 200, "it is ready")
        assert _listed(gateway) == ["after"]
        with pytest.raises(grpc.RpcError) as lost:
            _events(older, 2)
        assert lost.value.code() is grpc.StatusCode.OUT_OF_RANGE
        assert next(it for it in live if not it.events).live


def test_a_shutdown_lets_streams_go_a_few_at_a_time(broker: NatsCluster, tmp_path: Path) -> None:
    """The last connection is served until its stream has ended, long after the first one's has."""
    with (
        _gateway(broker, tmp_path) as gateway,
        followed(gateway.grpc_address, _MANY_CONNECTIONS) as following,
    ):
        stubs, streams = zip(*following, strict=True)
        gateway.signal(signal.SIGTERM)

        assert next(streams[0]).HasField("drain")
        assert stubs[-1].GetFeedInfo(GetFeedInfoRequest(), timeout=20).newest_cursor
        again = stubs[-1].Subscribe(SubscribeRequest())
        assert not next(again).HasField("drain")
        # Those of a connection end together.
        assert next(streams[-1]).HasField("drain")
        assert next(again).HasField("drain")
        assert [it.code() for it in (streams[0], streams[-1], again)] == [grpc.StatusCode.OK] * 3
        assert gateway.wait(60) == 0
