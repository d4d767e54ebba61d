"""The NATS configurations, with the real server: safe, and with no right more than it takes."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from gateway.journal.jetstream import Access, StreamPlace, TlsFiles, open_log
from gateway.journal.jetstream.examining import examine
from gateway.journal.ports import EventLog
from gateway.journal.retention import Retention
from tests.deploy.manifests import NATS
from tests.deploy.natsconfigs import Configured, rights, violations
from tests.harness.events import FORMAT, new_event
from tests.harness.loop import LoopThread
from tests.harness.nats import NatsServer, until, with_nats
from tests.harness.pages import http_get
from tests.harness.process import GatewayProcess
from tests.harness.reading import everything, ids
from tests.journal.places import MARK

pytestmark = [with_nats, pytest.mark.slow]

PATIENCE_S = 120.0
LIMITS = Retention(7 * 86_400.0, 2**28)

# What nobody needs but for the first start, and but for the doctor.
MAKING = ("$JS.API.STREAM.CREATE.EVENTS", "$JS.API.STREAM.CREATE.KV_EVENTS_checkpoints")
ASKING = "$JS.API.INFO"


@contextmanager
def started(configured: Configured, *servers: NatsServer) -> Iterator[None]:
    with ExitStack() as stack:
        for server in servers:
            stack.callback(server.kill)
        configured.start(*servers)
        yield


def access_of(configured: Configured, ca: Path | None = None) -> Access:
    tls = None if ca is None else TlsFiles(ca)
    return Access(login=lambda: configured.login.read_text().strip(), tls=tls)


async def use(place: StreamPlace, folder: Path, access: Access) -> int:
    """Do all that a gateway does with a stream; return how many events it has then."""

    @asynccontextmanager
    async def opened(index: str) -> AsyncIterator[EventLog]:
        log = await open_log(place, folder / index, FORMAT, LIMITS, access)
        try:
            yield log
        finally:
            await log.close()

    async with opened("a.db") as log:
        held = log.index.span.newest
        await log.journal.append(event := new_event())
        assert (await log.journal.append(event)).duplicate
        await asyncio.gather(*(log.journal.append(new_event()) for _ in range(40)))
        await log.checkpoints.set("complete", MARK)
        assert await log.checkpoints.get("complete") == MARK
    # With the index that it has, and with an empty one.
    for index in ("a.db", f"{held}.db"):
        async with opened(index) as log:
            assert log.copying is not None
            await log.copying.filled()
            assert log.index.span.count == held + 41
            # Its event comes when the stream has been looked at.
            if index == "a.db":
                held += 1
                await log.journal.append(new_event())
                await log.copying.reach(held + 41, PATIENCE_S)
    return held + 41


def test_one_server_keeps_the_log_of_a_gateway_that_may_do_no_more(
    loop: LoopThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured = Configured(tmp_path, monkeypatch)
    server = configured.single()
    with started(configured, server):
        place = StreamPlace((server.address,), "EVENTS")
        assert loop.run(use(place, tmp_path, access_of(configured)), PATIENCE_S) == 42
        found = loop.run(examine(place, access_of(configured)))
        assert found.server is not None
        assert found.server.payload_max == 8 * 1024 * 1024
        assert found.stream is not None
        assert found.stream.wrong == []
        assert violations(server) == []

        # Nobody gets in without the password, nor into other streams with it.
        assert loop.run(examine(place, Access()), PATIENCE_S).not_let_in
        other = StreamPlace((server.address,), "OTHER")
        assert loop.run(examine(other, access_of(configured)), PATIENCE_S).not_told


@pytest.mark.parametrize("name", ["single.conf", "cluster.conf"])
def test_every_message_is_on_the_disk_before_it_is_acknowledged(name: str) -> None:
    assert re.search(r"^  sync_interval: always$", (NATS / name).read_text(), re.MULTILINE)


@pytest.mark.parametrize("right", rights())
def test_every_right_is_needed(
    right: str, loop: LoopThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured = Configured(tmp_path, monkeypatch, (right,))
    server = configured.single()
    with started(configured, server):
        place, access = StreamPlace((server.address,), "EVENTS"), access_of(configured)

        async def use_until_refused() -> None:
            work = asyncio.create_task(
                _examine(place, access) if right == ASKING else use(place, tmp_path, access)
            )
            async with asyncio.timeout(PATIENCE_S):
                while not violations(server) and not work.done():  # noqa: ASYNC110 - a file
                    await asyncio.sleep(0.05)
            work.cancel()
            await asyncio.wait([work])

        loop.run(use_until_refused(), PATIENCE_S)
        refused = violations(server)

    assert refused, f"{right} is not needed"
    begins = right.partition("*")[0].partition(">")[0]
    assert f'"{begins}' in refused[0], refused


async def _examine(place: StreamPlace, access: Access) -> int:
    await examine(place, access)
    return 0


def test_where_the_stream_is_there_no_gateway_needs_the_right_to_make_it(
    loop: LoopThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured = Configured(tmp_path, monkeypatch)
    server = configured.single()
    place = StreamPlace((server.address,), "EVENTS")
    with started(configured, server):
        loop.run(use(place, tmp_path, access_of(configured)), PATIENCE_S)

    less = (server.folder / "users.conf").read_text()
    for right in MAKING:
        less = less.replace(f'"{right}"', "")
    (server.folder / "users.conf").write_text(less)
    with started(configured, server):
        assert loop.run(use(place, tmp_path, access_of(configured)), PATIENCE_S) == 84
        with GatewayProcess(
            tmp_path,
            GATEWAY_EVENT_LOG=f"nats://{server.address}/EVENTS",
            GATEWAY_INDEX="gateway.db",
            GATEWAY_NATS_LOGIN=str(configured.login),
            GATEWAY_BACKFILL="on",
        ) as gateway:
            id_ = gateway.webhooks.event()
            assert ids(everything(gateway))[-1] == id_
        assert violations(server) == []


def test_three_servers_in_tls_go_on_without_one_of_them(
    loop: LoopThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured = Configured(tmp_path, monkeypatch)
    cluster, monitors, ca = configured.cluster()
    with started(configured, *cluster.servers):
        for port in monitors:
            until(
                lambda at=f"127.0.0.1:{port}": http_get(at, "/healthz")[0] == 200,  # type: ignore[misc]
                "each is ready",
            )
            address = f"127.0.0.1:{port}"
            assert http_get(address, "/healthz?js-enabled-only=true")[0] == 200
        place = StreamPlace(cluster.addresses, "EVENTS", is_tls=True)
        access = access_of(configured, ca)
        assert loop.run(use(place, tmp_path, access), PATIENCE_S) == 42
        found = loop.run(examine(place, access), PATIENCE_S)
        assert found.stream is not None
        assert found.stream.replicas == 3

        cluster.servers[0].kill()
        assert loop.run(use(place, tmp_path, access), PATIENCE_S) == 84
        assert all(violations(it) == [] for it in cluster.servers)
