"""Filling: how long a gateway takes that comes with an empty disk.

Run as `python -m bench.feed.jetstream.filling`; it answers orders (see `remote`).
"""

from pathlib import Path
from time import monotonic

import uvloop

from bench.contestants.contestant import CheckError
from bench.feed import webhooks
from bench.feed.jetstream.servers import nats_servers
from bench.feed.remote import Remote, answer_orders
from bench.feed.stage import Stage
from bench.feed.webhooks import Postings
from bench.rounds import Spread
from conferencing.v1.event_pb2 import Event
from gateway.feed.frames import event_of
from gateway.journal.filter import EVERYTHING
from gateway.journal.jetstream import StreamPlace, open_log
from gateway.journal.reading import Span
from gateway.journal.retention import Retention
from gateway.process import tune_interpreter
from tests.harness.events import FORMAT

# Events in a batch of those that are to be there before.
_TOGETHER = 250

# Of the events, every so manieth is looked up afterwards.
_CHECKED = 997

# Nothing is dropped for its age or its size.
_NO_LIMITS = Retention(86_400.0, 2**40)


def measure_filling(stage: Stage, events: int, rounds: int) -> Spread:
    """Return how many events per second an empty index gets of a stream that has so many."""
    with nats_servers(stage, 1) as cluster:
        writer = stage.processes.start_module(
            "bench.feed.jetstream.floor", *cluster.addresses, "FILLING", measured=True
        )
        Remote(writer).ask("append", count=events, together=_TOGETHER)
        writer.kill()
        gateway = Remote(stage.processes.start_module(__name__, measured=True))

        def turn() -> float:
            index = stage.log("filling")
            arguments = {"server": cluster.addresses[0], "stream": "FILLING", "events": events}
            return float(gateway.ask("fill", index=str(index), **arguments))

        return Spread.of([events / stage.turns.take(turn) for _ in range(rounds)])


async def _fill(server: str, stream: str, index: str, events: int) -> float:
    path = Path(index)
    for it in path.parent.glob(f"{path.name}*"):
        it.unlink()
    began = monotonic()
    log = await open_log(StreamPlace((server,), stream), path, FORMAT, _NO_LIMITS)
    assert log.copying is not None
    await log.copying.filled()
    seconds = monotonic() - began
    postings = Postings(webhooks.CONFERENCES)
    try:
        if log.index.span != Span(1, events):
            raise CheckError(f"the index has {log.index.span} of {events} events")
        for number in range(0, events, _CHECKED):
            found = await log.index.find(webhooks.id_of(number), EVERYTHING)
            event = Event() if found is None else Event.FromString(event_of(found.frame))
            if (postings.number_of(event), event.sequence) != (number, number + 1):
                raise CheckError(f"event {number} is not in the index, or at another place")
    finally:
        await log.close()
    return seconds


if __name__ == "__main__":
    tune_interpreter()
    uvloop.run(answer_orders({"fill": _fill}))
