"""The right to change the stream: what a gateway does with it, without it, and what it gives away.

A gateway changes nothing of a stream but its epoch, when it has lost events. Its limits are the
operator's: no gateway adapts them, though whoever has this right can.
"""

import json
from pathlib import Path
from typing import Any

import nats
import pytest

from gateway.journal.jetstream import StreamPlace, open_log
from gateway.journal.jetstream.api import JetStreamApi
from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.patience import Patience
from gateway.journal.ports import EventLog
from gateway.journal.retention import Retention
from tests.deploy.natsconfigs import PASSWORD, Configured
from tests.deploy.test_nats import LIMITS, PATIENCE_S, access_of, started
from tests.harness.events import FORMAT, new_event
from tests.harness.loop import LoopThread
from tests.harness.nats import NatsServer, until, with_nats

pytestmark = [with_nats, pytest.mark.slow]

CREATE, UPDATE = "$JS.API.STREAM.CREATE.EVENTS", "$JS.API.STREAM.UPDATE.EVENTS"

BRIEF = Patience(sure_after_s=0.6)


async def _as_operator(server: NatsServer, subject: str, body: Any = None) -> Any:
    client = await nats.connect(server.address, user="operator", password=f"operators-{PASSWORD}")
    try:
        data = b"" if body is None else json.dumps(body).encode()
        return json.loads((await client.request(f"$JS.API.{subject}", data, timeout=30)).data)
    finally:
        await client.close()


async def _lose_everything(server: NatsServer) -> None:
    """Replace the stream as by a backup of when it was empty."""
    config = (await _as_operator(server, "STREAM.INFO.EVENTS"))["config"]
    await _as_operator(server, "STREAM.DELETE.EVENTS")
    assert "error" not in await _as_operator(server, "STREAM.CREATE.EVENTS", config)


@pytest.mark.parametrize("may_update", [True, False])
def test_a_stream_that_has_lost_events_gets_a_new_epoch_where_the_gateway_may_give_it(
    may_update: bool, loop: LoopThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured = Configured(tmp_path, monkeypatch)
    server = configured.single()
    if may_update:
        users = server.folder / "users.conf"
        users.write_text(users.read_text().replace(f'"{CREATE}"', f'"{CREATE}"\n"{UPDATE}"'))
    with started(configured, server):
        place, access = StreamPlace((server.address,), "EVENTS"), access_of(configured)
        opening = open_log(place, tmp_path / "a.db", FORMAT, LIMITS, access, patience=BRIEF)
        log: EventLog = loop.run(opening, PATIENCE_S)
        try:
            loop.run(log.journal.append(new_event()), PATIENCE_S)
            epoch = log.journal.epoch
            loop.run(_lose_everything(server), PATIENCE_S)

            if may_update:
                until(
                    lambda: log.journal.epoch != epoch and log.journal.problem is None,
                    "it goes on as another log",
                )
                assert not loop.run(log.journal.append(new_event()), PATIENCE_S).duplicate
            else:
                until(
                    lambda: "cannot get a new epoch" in (log.journal.problem or ""),
                    "it says what is wrong",
                )
                assert log.journal.epoch == epoch
                assert "STREAM.UPDATE" in server.output
        finally:
            loop.run(log.close(), PATIENCE_S)


def test_who_may_change_the_stream_may_change_its_limits(
    loop: LoopThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured = Configured(tmp_path, monkeypatch)
    server = configured.single()
    users = server.folder / "users.conf"
    users.write_text(users.read_text().replace(f'"{CREATE}"', f'"{CREATE}"\n"{UPDATE}"'))
    with started(configured, server):
        place, access = StreamPlace((server.address,), "EVENTS"), access_of(configured)

        async def retention_of(limits: Retention) -> Retention | None:
            log = await open_log(place, tmp_path / "a.db", FORMAT, limits, access)
            await log.close()
            return log.retention

        async def shorten() -> None:
            broker = await Broker.connect_now(place, access)
            try:
                api = JetStreamApi(broker, "EVENTS")
                found = await api.info()
                assert found is not None
                await api.update({**found.config, "max_age": 3_600 * 10**9})
            finally:
                await broker.close()

        assert loop.run(retention_of(LIMITS), PATIENCE_S) == LIMITS
        # The gateway's own settings change nothing of a stream that is there.
        less = Retention(LIMITS.age_s / 2, LIMITS.size_bytes // 2)
        assert loop.run(retention_of(less), PATIENCE_S) == LIMITS

        loop.run(shorten(), PATIENCE_S)

        assert loop.run(retention_of(LIMITS), PATIENCE_S) == Retention(3_600.0, LIMITS.size_bytes)
