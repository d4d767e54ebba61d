"""The servers that other tests rely on: real ones, which keep what they have acknowledged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.loop import LoopThread
from tests.harness.nats import NatsCluster, one_server, running, three_servers, with_nats
from tests.harness.streams import asked

pytestmark = with_nats


async def _create(cluster: NatsCluster) -> Any:
    config = {"name": "S", "subjects": ["S.*"], "num_replicas": cluster.replicas}
    created = await asked(cluster, "$JS.API.STREAM.CREATE.S", json.dumps(config).encode())
    assert "error" not in created, created
    return created


async def _newest(cluster: NatsCluster) -> Any:
    info = await asked(cluster, "$JS.API.STREAM.INFO.S", b"")
    return info["state"]["last_seq"]


@pytest.mark.slow
@pytest.mark.parametrize("of", [one_server, three_servers])
def test_what_servers_have_acknowledged_outlives_them(
    loop: LoopThread, tmp_path: Path, of: Callable[[Path], NatsCluster]
) -> None:
    with running(of(tmp_path)) as cluster:
        loop.run(_create(cluster), 60)
        stored = loop.run(asked(cluster, "S.a", b"1"), 60)["seq"]
        assert stored >= 1

        cluster.kill()
        cluster.start()

        newest = loop.run(_newest(cluster), 60)
        assert newest >= stored
        assert loop.run(asked(cluster, "S.b", b"2"), 60)["seq"] > newest


@pytest.mark.slow
def test_two_of_three_servers_go_on(loop: LoopThread, tmp_path: Path) -> None:
    with running(three_servers(tmp_path)) as cluster:
        leader = loop.run(_create(cluster), 60)["cluster"]["leader"]
        cluster.of_name(leader).kill()

        assert loop.run(asked(cluster, "S.a", b"1"), 60)["seq"] >= 1
