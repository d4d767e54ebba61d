"""`telnyx-gateway doctor` on a log in NATS: each thing that can be wrong, against real servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config import load_settings
from gateway.doctor.broker import findings
from gateway.doctor.finding import State
from gateway.journal.jetstream.examining import Examined, ServerFacts
from gateway.journal.moves import Arrival, Move, Opening
from tests.config.given import GOOD
from tests.doctor.test_doctor import HERE, Doctor, posted_to
from tests.harness.loop import LoopThread
from tests.harness.nats import (
    NatsCluster,
    one_server,
    running,
    three_servers,
    until,
    with_nats,
)
from tests.harness.ports import free_ports
from tests.harness.provider import RecordingProvider
from tests.journal.jetstream.logs import Streams, streams_of

pytestmark = [with_nats, pytest.mark.slow]

USERS = """
max_payload: 8MB
accounts {
  small { users: [{ user: small, password: x }], jetstream: { max_file: 64MB } }
  without { users: [{ user: without, password: x }] }
  A {
    users: [{ user: gateway, password: x }, { user: shy, password: x, permissions: {
      publish: { deny: "$JS.API.>" } } }]
    jetstream: enabled
  }
}
"""


@pytest.fixture
def doctor(tmp_path: Path, provider: RecordingProvider) -> Doctor:
    provider.answer = lambda request: posted_to(HERE)
    return Doctor(tmp_path, provider)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with running(one_server(tmp_path_factory.mktemp("nats"), "max_payload: 8MB")) as cluster:
        yield cluster


@pytest.fixture
def streams(loop: LoopThread, server: NatsCluster, tmp_path: Path) -> Iterator[Streams]:
    with streams_of(loop, server, tmp_path) as made:
        yield made


def of(streams: Streams) -> dict[str, str]:
    return {"GATEWAY_EVENT_LOG": streams.cluster.url(streams.name)}


def test_a_stream_that_will_be_made_and_one_that_is_there_are_well(
    doctor: Doctor, streams: Streams
) -> None:
    before = doctor.findings(**of(streams))
    streams.open()
    after = doctor.findings(**of(streams))

    assert before["stream"][:2] == (
        "ok",
        "the stream is not there, and is made by the first gateway that starts",
    )
    assert list(after) == [
        "settings",
        "GATEWAY_GRPC_ADDRESS",
        "GATEWAY_HTTP_ADDRESS",
        "GATEWAY_ADMIN_ADDRESS",
        "GATEWAY_INDEX",
        "NATS",
        "NATS version",
        "JetStream",
        "largest event",
        "stream",
        "stream size",
        "replicas",
        "provider",
        "TELNYX_API_KEY",
        "clock",
        "webhooks",
    ]
    assert [it for it in after.values() if it[0] != "ok"] == []
    assert streams.ask("STREAM.NAMES", {})["streams"] == [
        f"KV_{streams.name}_checkpoints",
        streams.name,
    ], "it has made nothing before"


def test_servers_that_are_not_there_are_named(doctor: Doctor) -> None:
    (port,) = free_ports(1)
    found = doctor.findings(GATEWAY_EVENT_LOG=f"nats://127.0.0.1:{port}/EVENTS")

    state, text, mend = found["NATS"]
    assert state == "fault"
    assert f"nats://127.0.0.1:{port}/EVENTS: no connection" in text
    assert "check GATEWAY_EVENT_LOG" in mend
    assert "JetStream" not in found


def test_what_an_account_may_not_do_is_named(doctor: Doctor, tmp_path: Path) -> None:
    login = tmp_path / "login"
    with running(one_server(tmp_path / "nats", USERS)) as cluster:
        env = {"GATEWAY_EVENT_LOG": cluster.url("EVENTS"), "GATEWAY_NATS_LOGIN": str(login)}

        def found(user: str, subject: str) -> tuple[str, str, str]:
            login.write_text(user)
            return doctor.findings(**env)[subject]

        rejected = found("gateway:wrong", "GATEWAY_NATS_*")
        assert rejected[0] == "fault"
        assert "Authorization Violation" in rejected[1]
        assert "wrong" not in str(rejected)
        assert found("without:x", "JetStream")[0] == "fault"
        shy = found("shy:x", "JetStream")
        assert shy[0] == "fault"
        assert "docs/scaling.md" in shy[2]
        small = found("small:x", "stream")
        assert small[0] == "fault"
        assert "the account has 64 MiB left for it" in small[1]
        assert found("gateway:x", "stream")[0] == "ok"


def test_a_stream_that_is_not_as_a_log_needs_it_is_named_and_so_is_one_without_limits(
    doctor: Doctor, streams: Streams
) -> None:
    streams.open()
    config = streams.ask(f"STREAM.INFO.{streams.name}")["config"]
    wrong = {**config, "discard": "new", "max_bytes": -1, "max_msg_size": 1_000}
    assert "error" not in streams.ask(f"STREAM.UPDATE.{streams.name}", wrong)

    found = doctor.findings(**of(streams))

    assert found["stream"][:2] == ("fault", "discard is 'new' and must be old")
    assert found["stream size"][0] == "warning"
    state, text, _ = found["largest event"]
    assert state == "warning"
    assert "max_msg_size of the stream is 1000 B" in text


def test_a_stream_of_a_move_that_is_not_done_is_named(doctor: Doctor, streams: Streams) -> None:
    arrival = Arrival(b"\1" * 8, Move.begun("sqlite:////old/events.db"))
    streams.open(opening=Opening(arrival=arrival, is_for_move=True))

    state, text, _ = doctor.findings(**of(streams))["stream"]

    assert state == "fault"
    assert "is where sqlite:////old/events.db is being moved to" in text


def test_servers_of_a_cluster_that_lack_events_are_named(
    doctor: Doctor, loop: LoopThread, tmp_path: Path
) -> None:
    with (
        running(three_servers(tmp_path / "nats")) as cluster,
        streams_of(loop, cluster, tmp_path) as streams,
    ):
        streams.open()

        def of_replicas() -> tuple[str, str, str]:
            # While servers find a leader they may say nothing of the stream.
            return doctor.findings(**of(streams)).get("replicas", ("", "", ""))

        until(lambda: of_replicas()[0] == "ok", "all have it")
        assert doctor.findings(**of(streams))["largest event"][0] == "warning"
        streams.close()
        leader = streams.ask(f"STREAM.INFO.{streams.name}")["cluster"]["leader"]
        away = next(it for it in cluster.servers if it.name != leader)
        away.kill()
        until(
            lambda: (
                of_replicas()[:2]
                == ("warning", f"3 keep each event, of which {away.name} lack some")
            ),
            "the one that is away is named",
        )
        away.restart()
        config = streams.ask(f"STREAM.INFO.{streams.name}")["config"]
        streams.ask(f"STREAM.UPDATE.{streams.name}", {**config, "num_replicas": 1})
        until(lambda: of_replicas()[1].startswith("1 "), "the stream has one replica")
        state, text, mend = of_replicas()
        assert (state, text) == (
            "warning",
            "1 keeps each event of the cluster test: without that server there is no log",
        )
        assert "--replicas 3" in mend


@pytest.mark.parametrize(
    ("version", "state"),
    [("2.14.9", State.FAULT), ("2.9.0", State.FAULT), ("", State.FAULT), ("2.15.0-RC.1", State.OK)],
)
def test_a_server_that_is_too_old_is_named(version: str, state: State) -> None:
    settings = load_settings({**GOOD, "GATEWAY_EVENT_LOG": "nats://a:4222/EVENTS"})
    server = ServerFacts(version, "", 2**23, True)

    found = {it.subject: it for it in findings(settings, Examined(server=server))}

    assert found["NATS version"].state is state


def test_jetstream_that_is_switched_off_is_named(doctor: Doctor) -> None:
    settings = load_settings({**GOOD, "GATEWAY_EVENT_LOG": "nats://a:4222/EVENTS"})
    server = ServerFacts("2.15.1", "", 2**23, has_jetstream=False)

    last = list(findings(settings, Examined(server=server)))[-1]

    assert (last.subject, last.state) == ("JetStream", State.FAULT)
    assert "sync_interval: always" in last.mend
