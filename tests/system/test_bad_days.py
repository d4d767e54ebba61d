"""The bad days of a broker: webhooks wait, readers and commands do not, and all resumes by itself.

Each is made to happen to a real server under a whole gateway, which nobody restarts.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import nats
import pytest

from conferencing.v1.conference_service_pb2 import CreateConferenceRequest, ListConferencesRequest
from conferencing.v1.event_service_pb2 import (
    GAP_POLICY_CONTINUE,
    GAP_REASON_EPOCH_CHANGED,
    GetFeedInfoRequest,
    ListEventsRequest,
    SubscribeRequest,
    SubscribeResponse,
    WatchConferenceRequest,
)
from gateway.simulation import Simulation, simulated
from tests.harness.gateway import Failure, RunningGateway, failure_of
from tests.harness.loop import LoopThread
from tests.harness.nats import (
    NatsCluster,
    NatsServer,
    one_server,
    running,
    three_servers,
    until,
    with_nats,
)
from tests.harness.pages import http_get
from tests.harness.webhooks import Reply, webhook

pytestmark = [with_nats, pytest.mark.slow]

# What anything may take on the slowest machine, in seconds.
_PATIENCE_S = 120.0

# What a webhook has that a server of small things does not take, in bytes.
_LARGE = 60_000


@pytest.fixture(scope="module")
def provider() -> Iterator[Simulation]:
    with simulated() as simulation:
        yield simulation


class Day:
    """A gateway on a broker, with a stream that is open from the first event on."""

    def __init__(self, gateway: RunningGateway) -> None:
        self.gateway = gateway
        self._posted = 0
        self.stream: Any = gateway.events.Subscribe(SubscribeRequest(), timeout=_PATIENCE_S)
        next(self.stream)
        self.post_one()

    def post(self, id_: str, **payload: Any) -> Reply:
        return self.gateway.webhooks.post(webhook(id_=id_, **payload))

    def post_one(self) -> None:
        """Post a webhook, which is streamed."""
        self._posted += 1
        id_ = f"streamed{self._posted}"
        assert self.post(id_).status == 200
        assert self.next_ids() == [id_]

    def next_ids(self) -> list[str]:
        """Return the ids of the next response with events; the stream is still the same."""
        return _next_ids(self.stream)

    def refuse(self, id_: str = "refused", **payload: Any) -> None:
        """Wait until webhooks are told to come again."""

        def is_refused() -> bool:
            return self.post(id_, **payload).status == 503

        until(is_refused, "webhooks are refused")
        refused = self.post(id_, **payload)
        assert (refused.status, refused.reason) == (503, "LOG_UNAVAILABLE")
        assert int(refused.headers["retry-after"]) > 0

    def says(self, words: str) -> None:
        """Wait until `/readyz` says something."""
        until(lambda: words in self._readiness()[1], f"/readyz says {words!r}")
        assert self._readiness()[0] == 503

    def go_on(self) -> None:
        """Check that commands and reads go on."""
        assert http_get(self.gateway.admin_address, "/healthz")[0] == 200
        self.gateway.conferences.ListConferences(ListConferencesRequest(), timeout=20)
        assert self.listed()[0] == "streamed1"

    def listed(self) -> list[str]:
        found = self.gateway.events.ListEvents(ListEventsRequest(), timeout=20)
        return [it.id for it in found.events]

    def resume(self) -> None:
        """Wait until all is well: webhooks are stored, and the stream that was open has them."""
        until(lambda: self._readiness()[0] == 200, "it is ready again")
        self._posted += 1
        id_ = f"streamed{self._posted}"
        until(lambda: self.post(id_).status == 200, "webhooks are stored")
        ids: list[str] = []
        while id_ not in ids:
            ids += self.next_ids()

    def _readiness(self) -> tuple[int, str]:
        return http_get(self.gateway.admin_address, "/readyz")


def _next_ids(stream: Iterator[SubscribeResponse]) -> list[str]:
    while not (response := next(stream)).events:
        assert not response.HasField("drain")
    return [it.id for it in response.events]


@contextmanager
def _day(
    loop: LoopThread, folder: Path, cluster: NatsCluster, provider: Simulation, **env: str
) -> Iterator[Day]:
    settings: Mapping[str, str] = {
        "GATEWAY_EVENT_LOG": cluster.url("EVENTS"),
        "GATEWAY_INDEX": str(folder / "index.db"),
        "GATEWAY_RETENTION_SIZE": "64MiB",
        **env,
    }
    base_url = provider.settings["TELNYX_BASE_URL"]
    gateway = RunningGateway(loop, folder, base_url, **settings)
    try:
        yield Day(gateway)
    finally:
        gateway.close()


async def _asked(cluster: NatsCluster, subject: str, body: Any = None, **login: str) -> Any:
    client = await nats.connect([f"nats://{it}" for it in cluster.addresses], **login)
    try:
        data = b"" if body is None else json.dumps(body).encode()
        response = await client.request(f"$JS.API.{subject}", data, timeout=_PATIENCE_S)
        return json.loads(response.data)
    finally:
        await client.close()


def _only(cluster: NatsCluster) -> NatsServer:
    (server,) = cluster.servers
    return server


def test_a_server_that_is_restarted(loop: LoopThread, tmp_path: Path, provider: Simulation) -> None:
    with (
        running(one_server(tmp_path / "nats")) as cluster,
        _day(loop, tmp_path, cluster, provider) as day,
    ):
        _only(cluster).kill()
        day.refuse()
        day.says("there is no connection to nats://127.0.0.1")
        day.go_on()

        _only(cluster).restart()
        day.resume()
        assert day.listed() == ["streamed1", "streamed2"]


def test_a_server_that_hangs(loop: LoopThread, tmp_path: Path, provider: Simulation) -> None:
    with (
        running(one_server(tmp_path / "nats")) as cluster,
        _day(loop, tmp_path, cluster, provider) as day,
    ):
        _only(cluster).hold()
        day.refuse()
        day.says("there is no connection to nats://127.0.0.1")
        day.go_on()

        _only(cluster).go_on()
        day.resume()


def test_a_disk_that_is_full(loop: LoopThread, tmp_path: Path, provider: Simulation) -> None:
    account = "{ jetstream: { max_file: 300KB }, users: [ { user: gw, password: pw } ] }"
    more = f"accounts: {{ A: {account} }}\nno_auth_user: gw"
    stream = {
        "name": "EVENTS",
        "subjects": ["EVENTS.*"],
        "allow_atomic": True,
        "metadata": {"telnyx-gateway-epoch": "00112233445566ff"},
    }
    with running(one_server(tmp_path / "nats", more)) as cluster:
        assert "error" not in loop.run(_asked(cluster, "STREAM.CREATE.EVENTS", stream))
        with _day(loop, tmp_path, cluster, provider) as day:
            for number in range(5):
                day.post(f"large{number}", client_state="x" * _LARGE)
            day.refuse(client_state="x" * _LARGE)
            day.says("resource limits exceeded")
            day.go_on()

            loop.run(_asked(cluster, "STREAM.PURGE.EVENTS", {"keep": 1}))
            day.resume()


def test_a_right_that_is_withdrawn(loop: LoopThread, tmp_path: Path, provider: Simulation) -> None:
    def users(password: str) -> str:
        return f"authorization: {{ users: [ {{ user: gw, password: {password} }} ] }}"

    login = tmp_path / "login"
    login.write_text("gw:old")
    with (
        running(one_server(tmp_path / "nats", users("old"))) as cluster,
        _day(loop, tmp_path, cluster, provider, GATEWAY_NATS_LOGIN=str(login)) as day,
    ):
        _only(cluster).configure(users("new"))
        _only(cluster).reload()
        day.refuse()
        day.says("uthorization")
        day.go_on()

        login.write_text("gw:new")
        day.resume()


def test_an_event_that_is_larger_than_the_server_takes(
    loop: LoopThread, tmp_path: Path, provider: Simulation
) -> None:
    with (
        running(one_server(tmp_path / "nats", "max_payload: 32KB")) as cluster,
        _day(loop, tmp_path, cluster, provider) as day,
    ):
        day.refuse("large", client_state="x" * _LARGE)
        day.go_on()
        # It is alone in that.
        day.resume()

        _only(cluster).configure("max_payload: 1MB")
        _only(cluster).kill()
        _only(cluster).restart()
        until(
            lambda: day.post("large", client_state="x" * _LARGE).status == 200,
            "the large one is stored",
        )
        assert day.next_ids() == ["large"]


def test_a_leader_that_is_lost(loop: LoopThread, tmp_path: Path, provider: Simulation) -> None:
    with (
        running(three_servers(tmp_path / "nats")) as cluster,
        _day(loop, tmp_path, cluster, provider) as day,
    ):
        info = loop.run(_asked(cluster, "STREAM.INFO.EVENTS"))
        cluster.of_name(info["cluster"]["leader"]).kill()

        stored: list[str] = []
        for number in range(20):
            reply = day.post(f"e{number}")
            assert reply.status in (200, 503)
            if reply.status == 200:
                stored.append(f"e{number}")
            else:
                assert int(reply.headers["retry-after"]) > 0
        day.go_on()
        until(lambda: day.post("last").status == 200, "webhooks are stored again")

        seen: list[str] = []
        while "last" not in seen:
            seen += day.next_ids()
        # What was refused may have been stored all the same.
        assert [it for it in seen if it in stored] == stored
        assert day.listed() == ["streamed1", *seen]


def test_a_server_that_comes_back_empty(
    loop: LoopThread, tmp_path: Path, provider: Simulation
) -> None:
    with (
        running(one_server(tmp_path / "nats")) as cluster,
        _day(loop, tmp_path, cluster, provider) as day,
    ):
        events = day.gateway.events
        before = events.GetFeedInfo(GetFeedInfoRequest())
        skipping = _skipping(day, before.newest_cursor)
        watch = _watch(day)

        _only(cluster).kill()
        shutil.rmtree(_only(cluster).store)
        day.refuse()
        day.go_on()
        _only(cluster).restart()

        for stream in (day.stream, watch):
            failure = _failure(stream)
            assert failure.code is grpc.StatusCode.OUT_OF_RANGE
            assert failure.info.reason == "EPOCH_CHANGED"
        _begun_anew(day, before.newest_cursor, before.epoch)
        gap = next(it for it in skipping if it.HasField("gap")).gap
        assert gap.reason == GAP_REASON_EPOCH_CHANGED
        # Webhooks that come again have new numbers, and are new to nobody's cursor from before.
        until(lambda: day.post("streamed1").status == 200, "webhooks are stored")
        assert _next_ids(skipping) == ["streamed1"]
        assert day.listed() == ["streamed1"]


def test_a_server_that_comes_back_with_a_backup(
    loop: LoopThread, tmp_path: Path, provider: Simulation
) -> None:
    with running(one_server(tmp_path / "nats")) as cluster:
        server, backup = _only(cluster), tmp_path / "backup"
        with _day(loop, tmp_path, cluster, provider) as day:
            server.kill()
            shutil.copytree(server.store, backup)
            server.restart()
            day.resume()
            before = day.gateway.events.GetFeedInfo(GetFeedInfoRequest())
            skipping = _skipping(day, before.newest_cursor)

            server.kill()
            shutil.rmtree(server.store)
            backup.rename(server.store)
            server.restart()

            failure = _failure(day.stream)
            assert failure.info.reason == "EPOCH_CHANGED"
            _begun_anew(day, before.newest_cursor, before.epoch)
            gap = next(it for it in skipping if it.HasField("gap")).gap
            assert gap.reason == GAP_REASON_EPOCH_CHANGED
            assert _next_ids(skipping) == ["streamed1"], "with what the backup has"
            until(lambda: day.post("other").status == 200, "webhooks are stored")
            assert _next_ids(skipping) == ["other"]
            assert day.listed() == ["streamed1", "other"]


def _skipping(day: Day, cursor: str) -> Any:
    request = SubscribeRequest(after_cursor=cursor, on_gap=GAP_POLICY_CONTINUE)
    stream = day.gateway.events.Subscribe(request, timeout=_PATIENCE_S)
    next(stream)
    return stream


def _watch(day: Day) -> Any:
    request = CreateConferenceRequest(call_control_id="v3:sandbox-alice", name="watched")
    made = day.gateway.conferences.CreateConference(request, timeout=20)
    watched = WatchConferenceRequest(conference_id=made.conference.id)
    watch = day.gateway.events.WatchConference(watched, timeout=_PATIENCE_S)
    next(watch)
    return watch


def _failure(stream: Any) -> Failure:
    with pytest.raises(grpc.RpcError) as error:
        list(stream)
    return Failure(error.value)


def _begun_anew(day: Day, cursor: str, epoch: str) -> None:
    """Check that a cursor from before is refused, and one of now is not."""
    events = day.gateway.events
    refused = failure_of(events.Subscribe, SubscribeRequest(after_cursor=cursor))
    assert refused.info.reason == "EPOCH_CHANGED"
    info = events.GetFeedInfo(GetFeedInfoRequest())
    assert info.epoch != epoch
    request = SubscribeRequest(after_cursor=info.newest_cursor, stop_when_caught_up=True)
    assert list(events.Subscribe(request, timeout=20))
