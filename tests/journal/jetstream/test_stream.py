"""The stream itself: made with what the log relies on, or told exactly what it has otherwise."""

import asyncio
from typing import Any

import pytest

from gateway.journal.errors import LogOpenError
from gateway.journal.jetstream.stream import EPOCH
from gateway.journal.retention import Retention
from tests.harness.events import new_event
from tests.harness.nats import with_nats
from tests.journal.jetstream.logs import Streams

pytestmark = with_nats


def _as_an_operator_would(streams: Streams, **otherwise: Any) -> None:
    config = {
        "name": streams.name,
        "subjects": [f"{streams.name}.*"],
        "allow_atomic": True,
        "metadata": {EPOCH: "00112233445566ff"},
        **otherwise,
    }
    assert "error" not in streams.ask(f"STREAM.CREATE.{streams.name}", config)


def _config(streams: Streams) -> Any:
    return streams.ask(f"STREAM.INFO.{streams.name}")["config"]


def test_it_is_made_with_the_limits_that_are_set(streams: Streams) -> None:
    log = streams.open(limits=Retention(3_600.0, 2**26))

    config = _config(streams)
    assert (config["max_age"], config["max_bytes"]) == (3_600 * 10**9, 2**26)
    assert (config["storage"], config["discard"], config["num_replicas"]) == ("file", "old", 1)
    assert config["allow_atomic"] is True
    assert log.log.retention == Retention(3_600.0, 2**26)
    assert bytes.fromhex(config["metadata"][EPOCH]) == log.log.journal.epoch


def test_one_that_is_there_keeps_its_own_limits_and_identity(streams: Streams) -> None:
    _as_an_operator_would(streams, max_age=60 * 10**9)

    log = streams.open(limits=Retention(3_600.0, 2**26))

    assert log.log.retention is not None
    assert log.log.retention.age_s == 60
    assert log.log.journal.epoch == bytes.fromhex("00112233445566ff")
    assert log.append(new_event()) == [(1, False)]
    assert _config(streams)["max_age"] == 60 * 10**9


@pytest.mark.parametrize(
    ("otherwise", "words"),
    [
        ({"storage": "memory"}, "storage is 'memory' and must be file"),
        ({"discard": "new"}, "discard is 'new' and must be old"),
        ({"retention": "interest"}, "retention is 'interest' and must be limits"),
        ({"allow_atomic": False}, "allow_atomic is None and must be True"),
        ({"no_ack": True}, "no_ack is True and must be False"),
        ({"max_msgs_per_subject": 1}, "max_msgs_per_subject is 1 and must be -1"),
        (
            {"persist_mode": "async", "allow_atomic": False},
            "persist_mode is 'async' and must be default",
        ),
        ({"subjects": ["other.*"]}, r"subjects are \['other\.\*'\] and must have 'S\d+\.\*'"),
        ({"metadata": {}}, f"its metadata must have {EPOCH}"),
        ({"metadata": {EPOCH: "x"}}, f"its metadata must have {EPOCH}"),
    ],
)
def test_one_that_cannot_be_a_log_is_refused_with_what_differs(
    streams: Streams, otherwise: Any, words: str
) -> None:
    _as_an_operator_would(streams, **otherwise)

    with pytest.raises(LogOpenError, match=words):
        streams.open()
    streams.ask(f"STREAM.DELETE.{streams.name}")


def test_all_that_differs_is_told_at_once(streams: Streams) -> None:
    _as_an_operator_would(streams, storage="memory", metadata={}, discard="new")

    with pytest.raises(LogOpenError) as error:
        streams.open()

    for word in ("storage", "discard", "metadata", "nats stream edit"):
        assert word in str(error.value)


def test_gateways_that_start_at_the_same_time_make_one_log(streams: Streams) -> None:
    async def race() -> list[bytes]:
        logs = await asyncio.gather(*[streams.opening(name) for name in "abcd"])
        epochs = [it.journal.epoch for it in logs]
        for log in logs:
            await log.close()
        return epochs

    for _ in range(5):
        assert len(set(streams.loop.run(race(), 60))) == 1
        streams.ask(f"STREAM.DELETE.{streams.name}")


@pytest.mark.slow
def test_they_do_so_on_three_servers_which_do_not_all_know_of_it_at_once(three: Streams) -> None:
    async def race() -> list[bytes]:
        logs = await asyncio.gather(*[three.opening(name) for name in "abcdef"])
        for log in logs:
            await log.close()
        return [it.journal.epoch for it in logs]

    for _ in range(5):
        assert len(set(three.loop.run(race(), 120))) == 1
        three.ask(f"STREAM.DELETE.{three.name}")


def test_what_a_power_cut_can_cost_is_said(streams: Streams) -> None:
    said = streams.open().log.durability

    assert said.startswith("one server keeps each event: a power cut costs")
    assert "`sync_interval: always`" in said


def test_a_log_that_needs_more_room_than_the_server_has_says_so(streams: Streams) -> None:
    with pytest.raises(LogOpenError, match=f"{streams.name}.*insufficient storage"):
        streams.open(limits=Retention(60, 2**50))
