"""Broken builds of a log in a NATS stream, and what has to happen for each to be noticed.

A gateway runs with one of them by `python -m tests.chaos.broken_gateway serve`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.faults import Cut
from tests.chaos.stage import STREAM, Stage
from tests.harness.nats import delete_streams, until
from tests.harness.streams import asked
from tests.harness.webhooks import Poster, Signer
from tests.oracle import breaks_of_feed as feed
from tests.oracle import breaks_of_stream as stream
from tests.oracle.breaks import Break
from tests.oracle.history import After, Earliest, Opening
from tests.oracle.model import Fields
from tests.oracle.remote import RemoteReader, posted

_JSON = b'{"seq": %d}'

# What anything may take on the slowest machine, in seconds.
_ASK_S = 60.0


class Play:
    """Somebody who posts, and one who reads, at gateways of their choice."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.reader = RemoteReader("reader", stage.log)
        signer = Signer()
        self._posters = [Poster(it.http_address, signer) for it in stage.replicas]
        self._posted = 0

    def post(self, gateway: int, count: int = 1) -> None:
        """Have some new events stored."""
        for _ in range(count):
            self._posted += 1
            self.post_again(gateway)

    def post_again(self, gateway: int) -> None:
        """Post the last event once more."""
        event = posted(f"id-{self._posted}", Fields("call.enqueued", conference_id="c1"))
        (status,) = self.stage.log.post(self._posters[gateway], [event])
        assert status == 200, status

    def follow(self, gateway: int) -> None:
        """Go on at a gateway, and read until nothing comes any more."""
        before = next((it for it in reversed(self.reader.streams) if it.responses), None)
        place = Earliest() if before is None else After(self.reader.cursor)
        opening = Opening(place=place, heartbeat_s=1, bounded=True)
        self.reader.open(self.stage.channels[gateway], opening).resumes = before
        self.reader.join()

    def away(self, gateway: int, meanwhile: Callable[[], None]) -> None:
        """Let something happen while a gateway is down."""
        replica = self.stage.replicas[gateway]
        replica.stop()
        replica.wait_until_down()
        meanwhile()
        replica.revive()
        replica.wait()

    def post_in_vain(self, gateway: int) -> None:
        """Post an event that no gateway can store; whoever says 2xx all the same is to blame."""
        event = posted("unlucky", Fields("call.enqueued"))
        self.stage.log.post(self._posters[gateway], [event])


def _acknowledged_without_a_broker(play: Play) -> None:
    with Cut(0).on(play.stage):
        play.post_in_vain(0)
        play.stage.replicas[0].kill()
        play.stage.replicas[0].wait_until_down()
    play.stage.replicas[0].revive()
    play.stage.replicas[0].wait()


def _sent_to_both(play: Play) -> None:
    play.post(0)
    play.post_again(1)


def _one_gateway_misses_some(play: Play) -> None:
    play.post(0, 3)
    play.follow(1)
    had = play.stage.held(1)
    with Cut(1).on(play.stage):
        play.post(0, 3)
    until(lambda: play.stage.held(1) != had, "it follows again")
    play.follow(1)


def _the_beginning_goes_meanwhile(play: Play) -> None:
    play.post(0, 3)
    play.follow(1)

    def drop() -> None:
        play.post(0, 5)
        play.stage.log.audit()
        through = play.stage.span()[1] - 2
        subject = f"$JS.API.STREAM.PURGE.{STREAM}"
        play.stage.loop.run(asked(play.stage.cluster, subject, _JSON % (through + 1)), _ASK_S)
        play.stage.log.model.era.delete(through, through)

    play.away(1, drop)
    play.follow(1)


def _the_stream_is_another(play: Play) -> None:
    play.post(0, 3)
    play.follow(0)
    play.stage.audit()

    def replace() -> None:
        play.stage.loop.run(delete_streams(play.stage.cluster, STREAM), _ASK_S)

    play.away(0, lambda: play.away(1, replace))
    play.stage.begin_anew()
    play.post(0, 5)
    play.follow(1)


@dataclass(frozen=True, slots=True)
class Case:
    """A break, and a play in which it is noticed."""

    broken: Break
    play: Callable[[Play], None]


CASES = {
    it.broken.name: it
    for it in (
        Case(
            Break("acknowledges early", "durable", stream.acknowledges_before_the_broker),
            _acknowledged_without_a_broker,
        ),
        Case(Break("stores what is held", "durable", stream.stores_what_is_held), _sent_to_both),
        Case(
            Break("counts by itself", "identical", stream.counts_by_itself),
            _one_gateway_misses_some,
        ),
        Case(
            Break("drops for a hole of its own", "loud", stream.drops_for_a_hole_of_its_own),
            _one_gateway_misses_some,
        ),
        Case(
            Break("keeps what is dropped", "loud", stream.keeps_what_the_stream_has_dropped),
            _the_beginning_goes_meanwhile,
        ),
        Case(Break("ignores the epoch", "loud", feed.ignores_the_epoch), _the_stream_is_another),
    )
}

# In the order in which all can be played on one stage: the last one begins anew.
PLAYS = tuple(dict.fromkeys(it.play for it in CASES.values()))
