"""`log copy` between a file and a NATS stream, and subscribers that go on after a move."""

import asyncio
import json
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest

from conferencing.v1.event_service_pb2 import POSITION_EARLIEST, SubscribeRequest
from tests.harness.clock import ManualClock
from tests.harness.events import new_event
from tests.harness.gateway import failure_of
from tests.harness.logs import PLENTY, OpenLog
from tests.harness.loop import LoopThread
from tests.harness.nats import NatsCluster, one_server, running, with_nats
from tests.harness.process import GatewayProcess, command, environment, ran
from tests.harness.reading import everything, ids, opened, replay
from tests.harness.webhooks import Signer, webhook
from tests.system.test_log_commands import ids_in, log_command, serving, stop

pytestmark = [with_nats, pytest.mark.slow]

LOGIN = 'authorization: { user: "gateway", password: "secret" }'


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with running(one_server(tmp_path_factory.mktemp("nats"), LOGIN)) as cluster:
        yield cluster


@pytest.fixture
def login(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "login"
    file.write_text("gateway:secret\n")
    return {"GATEWAY_NATS_LOGIN": str(file)}


def of_stream(folder: Path, url: str, login: dict[str, str]) -> GatewayProcess:
    index = str(folder / "index.db")
    return GatewayProcess(folder, GATEWAY_EVENT_LOG=url, GATEWAY_INDEX=index, **login)


def test_a_subscriber_goes_on_after_a_move_to_a_stream_and_back(
    broker: NatsCluster, tmp_path: Path, login: dict[str, str]
) -> None:
    log, back, url = tmp_path / "log" / "events.db", tmp_path / "back.db", broker.url("THERE")
    with serving(tmp_path, log) as gateway:
        first = gateway.webhooks.event()
        stream, _ = opened(gateway, position=POSITION_EARLIEST)
        cursor = next(stream).cursor
        second = gateway.webhooks.event()
        stop(gateway)

    done = log_command(tmp_path, "copy", "--move", str(log), url, **login)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{url}: 2 events, numbers 1 to 2, moved from {log}\n"

    with of_stream(tmp_path, url, login) as gateway:
        third = gateway.webhooks.event()
        events = replay(gateway, after_cursor=cursor)
        assert ids(events) == [second, third]
        cursor = events[-1].cursor
        # What still has the stream open stores nothing more in it.
        moved = log_command(tmp_path, "copy", "--move", "--json", url, str(back), **login)
        assert moved.returncode == 0, moved.stderr
        assert json.loads(moved.stdout)["added"] == 3
        assert gateway.webhooks.post(webhook()).status == 503
        stop(gateway)

    for where, env in ((f"sqlite:///{log}", {}), (url, login)):
        refused = serve(tmp_path, where, **env)
        assert "was moved to" in refused
    with serving(tmp_path, back) as gateway:
        fourth = gateway.webhooks.event()
        assert ids(replay(gateway, after_cursor=cursor)) == [fourth]
        assert ids(everything(gateway)) == [first, second, third, fourth]


def test_a_copy_has_another_epoch_and_the_settings_limits(
    broker: NatsCluster, tmp_path: Path, login: dict[str, str]
) -> None:
    log, url = tmp_path / "log" / "events.db", broker.url("COPIED")
    with serving(tmp_path, log) as gateway:
        id_ = gateway.webhooks.event()
        cursor = everything(gateway)[0].cursor
        stop(gateway)
    limits = {"GATEWAY_RETENTION_SIZE": "64MiB", "GATEWAY_RETENTION_AGE": "3d"}

    for said in ("1 events", "1 events"):  # the second time there is nothing left to do
        done = log_command(tmp_path, "copy", str(log), url, "--index", "kept.db", **login, **limits)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout

    assert (tmp_path / "kept.db").exists()
    with of_stream(tmp_path, url, login) as gateway:
        assert ids(everything(gateway)) == [id_]
        failure = failure_of(gateway.events.Subscribe, SubscribeRequest(after_cursor=cursor))
        assert failure.info.reason == "EPOCH_CHANGED"


def test_a_stream_is_checked_and_backed_up_while_a_gateway_uses_it(
    broker: NatsCluster, tmp_path: Path, login: dict[str, str]
) -> None:
    url, to = broker.url("CHECKED"), tmp_path / "backup.db"
    with of_stream(tmp_path, url, login) as gateway:
        stored = [gateway.webhooks.event() for _ in range(3)]
        checked = log_command(tmp_path, "check", GATEWAY_EVENT_LOG=url, **login)
        assert checked.returncode == 0, checked.stdout
        assert checked.stdout.startswith(f"{url}: 3 events, numbers 1 to 3, epoch ")
        assert checked.stdout.endswith("no fault was found\n")
        backed = log_command(tmp_path, "backup", "--json", str(to), GATEWAY_EVENT_LOG=url, **login)
        assert backed.returncode == 0, backed.stderr
        said = json.loads(backed.stdout)
        assert (said["log"], said["events"], said["ok"]) == (str(to), 3, True)
        assert said["epoch"] != epoch_in(checked.stdout)
        assert ids_in(to) == stored
        assert not (tmp_path / "backup.db.part").exists()
        twice = log_command(tmp_path, "backup", url, str(to), **login)
        assert "exists already: name a new file" in twice.stderr

    asyncio.run(publish(broker, "CHECKED.theirs", b"no event"))
    faulty = log_command(tmp_path, "check", "--json", url, **login)
    assert faulty.returncode == 1
    (finding,) = json.loads(faulty.stdout)["findings"]
    assert "is not an event of this log" in finding["text"]
    # Nor is a backup made of it that lacks what cannot be read.
    assert log_command(tmp_path, "backup", url, "other.db", **login).returncode == 1
    assert [it.name for it in tmp_path.iterdir() if it.name.startswith("other")] == []
    with serving(tmp_path, to) as gateway:
        assert ids(everything(gateway)) == stored


def epoch_in(text: str) -> str:
    return text.partition("epoch ")[2].split()[0]


async def publish(broker: NatsCluster, subject: str, data: bytes) -> None:
    client = await nats.connect(
        [f"nats://{it}" for it in broker.addresses], user="gateway", password="secret"
    )
    await client.request(subject, data, timeout=60)
    await client.close()


def test_what_cannot_be_moved_is_said(
    broker: NatsCluster, tmp_path: Path, login: dict[str, str]
) -> None:
    url = broker.url("NOTHING")
    for arguments, env, says in (
        ((url, "to.db"), login, f"there is no log at {url}"),
        ((url, "to.db"), {}, "cannot open the event log"),
        (("nothing.db", url), login, f"there is no log at {tmp_path}/nothing.db"),
        ((url, "to.db"), {**login, "GATEWAY_NATS_TOKEN": "x"}, "GATEWAY_NATS_TOKEN"),
        ((url, "to.db"), {"GATEWAY_NATS_LOGIN": "/none"}, "GATEWAY_NATS_LOGIN"),
    ):
        done = log_command(tmp_path, "copy", "--move", *arguments, **env)
        assert done.returncode == 1
        assert says in done.stderr
    assert not (tmp_path / "to.db").exists()


@pytest.fixture(scope="module")
def large_log(tmp_path_factory: pytest.TempPathFactory, loop: LoopThread) -> Path:
    path = tmp_path_factory.mktemp("large") / "events.db"
    log = OpenLog(loop, path, ManualClock(), PLENTY)
    for first in range(0, 6_000, 1_000):
        log.append(*[new_event(id_=f"e{first + n}") for n in range(1_000)])
    log.close()
    return path


def test_a_move_that_was_killed_goes_on_where_it_was(
    large_log: Path, broker: NatsCluster, tmp_path: Path, login: dict[str, str]
) -> None:
    url, back = broker.url("KILLED"), tmp_path / "back.db"
    env = environment(**login, PYTHONUNBUFFERED="1")
    moving = subprocess.Popen(
        command("log", "copy", "--move", str(large_log), url, "--index", "index.db"),
        env=env,
        cwd=tmp_path,
    )
    while count_in(tmp_path / "index.db") < 1_000:
        assert moving.poll() is None, "it was quicker than this test"
    moving.send_signal(signal.SIGKILL)
    moving.wait()
    assert "is being moved to" in serve(tmp_path, url, **login)

    done = log_command(tmp_path, "copy", "--move", "--json", str(large_log), url, **login)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["oldest"], said["newest"]) == (1, 6_000)
    assert said["added"] < 5_500
    assert log_command(tmp_path, "copy", url, str(back), **login).returncode == 0
    assert ids_in(back) == [f"e{n}" for n in range(6_000)]


def count_in(index: Path) -> int:
    try:
        return len(ids_in(index))
    except sqlite3.Error:  # it is being made
        return 0


def serve(folder: Path, log: str, **env: str) -> str:
    """Return why a gateway does not start on a log."""
    done = ran(
        folder,
        "serve",
        TELNYX_API_KEY="KEY0123456789",
        TELNYX_PUBLIC_KEY=Signer().public_key,
        GATEWAY_EVENT_LOG=log,
        GATEWAY_GRPC_ADDRESS="127.0.0.1:0",
        GATEWAY_HTTP_ADDRESS="127.0.0.1:0",
        GATEWAY_ADMIN_ADDRESS="127.0.0.1:0",
        **env,
    )
    assert done.returncode == 1
    return done.stderr
