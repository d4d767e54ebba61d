"""kill -9 while webhooks arrive: what was answered 2xx is in the log, in order, once."""

import http.client
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from conferencing.v1.event_service_pb2 import SubscribeRequest, SubscribeResponse
from tests.harness.process import GatewayProcess
from tests.harness.reading import everything, ids, replay
from tests.harness.webhooks import Poster, webhook

ROUNDS = 3
POSTERS = 8
# Acknowledged webhooks after which the process is killed, in the middle of the others.
KILL_AFTER = 150


def post_until_killed(gateway: GatewayProcess, first: int) -> tuple[set[str], set[str]]:
    """Post from several connections until the process is gone; returns acknowledged and all ids."""
    acknowledged: set[str] = set()
    posted: set[str] = set()
    lock = threading.Lock()
    enough = threading.Event()

    def post(worker: int) -> None:
        poster = Poster(gateway.http_address, gateway.signer)
        for number in range(first + worker, first + 100_000, POSTERS):
            id_ = f"event-{number}"
            posted.add(id_)
            try:
                reply = poster.post(webhook(id_=id_))
            except (OSError, http.client.HTTPException):
                return
            if reply.status == 200:
                with lock:
                    acknowledged.add(id_)
                    if len(acknowledged) >= KILL_AFTER:
                        enough.set()

    with ThreadPoolExecutor(POSTERS) as pool:
        for worker in range(POSTERS):
            pool.submit(post, worker)
        assert enough.wait(30)
        gateway.kill()
    return acknowledged, posted


def test_every_acknowledged_event_survives_kill_9_in_order_and_once(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    posted: set[str] = set()
    before_kill: list[str] = []
    cursor = ""
    for round_ in range(ROUNDS):
        with GatewayProcess(tmp_path) as gateway:
            request = SubscribeRequest(after_cursor=cursor) if cursor else SubscribeRequest()
            stream = gateway.events.Subscribe(request)
            cursor = next(stream).cursor
            # A subscriber that reads a few and remembers where it stood when the process died.
            opened, all_posted = post_until_killed(gateway, round_ * 1_000_000)
            acknowledged |= opened
            posted |= all_posted
            for response in _until_broken(stream):
                before_kill += [event.id for event in response.events]
                cursor = response.cursor

    with GatewayProcess(tmp_path) as gateway:
        after_kill = ids(replay(gateway, after_cursor=cursor))
        held = everything(gateway)

    kept = ids(held)
    assert len(acknowledged) >= ROUNDS * KILL_AFTER
    assert acknowledged <= set(kept) <= posted
    assert len(kept) == len(set(kept))
    assert [event.sequence for event in held] == list(range(1, len(held) + 1))
    # Leaving and resuming across three crashes gave the same, nothing missing, nothing twice.
    assert before_kill + after_kill == kept


def _until_broken(stream: Iterator[SubscribeResponse]) -> Iterator[SubscribeResponse]:
    try:
        yield from stream
    except grpc.RpcError:
        return
