"""Fixtures: servers that several tests use, and streams of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.loop import LoopThread
from tests.harness.nats import NatsCluster, one_server, running, three_servers
from tests.journal.jetstream.logs import Streams, streams_of


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    """A server that goes on running."""
    with running(one_server(tmp_path_factory.mktemp("nats"))) as cluster:
        yield cluster


@pytest.fixture
def streams(loop: LoopThread, server: NatsCluster, tmp_path: Path) -> Iterator[Streams]:
    with streams_of(loop, server, tmp_path) as made:
        yield made


@pytest.fixture
def own(loop: LoopThread, tmp_path: Path) -> Iterator[Streams]:
    """A stream of a server that is the test's own, to be killed."""
    with (
        running(one_server(tmp_path / "nats")) as cluster,
        streams_of(loop, cluster, tmp_path) as made,
    ):
        yield made


@pytest.fixture
def three(loop: LoopThread, tmp_path: Path) -> Iterator[Streams]:
    """A stream of three servers."""
    with (
        running(three_servers(tmp_path / "nats")) as cluster,
        streams_of(loop, cluster, tmp_path) as made,
    ):
        yield made
