"""Delay: from the moment a webhook is posted until subscribers have the event."""

from dataclasses import dataclass
from functools import partial

from bench.contestants.gateway import GatewayProcess
from bench.feed import webhooks
from bench.feed.fan_out import Meter
from bench.feed.stage import Stage
from bench.rounds import Spread

# Events per second: a provider at its busiest.
RATE = 1_000

GROUP = "delay"


@dataclass(frozen=True, slots=True)
class Lags:
    """How long events took, each to each of its subscribers, in seconds."""

    deliveries: int
    p50: float
    p99: float

    @classmethod
    def of(cls, counts: list[list[int]]) -> "Lags":
        """Sum up microseconds and how many deliveries took so long, in order."""
        total = sum(count for _, count in counts)

        def quantile(share: float) -> float:
            seen = 0
            for microseconds, count in counts:
                seen += count
                if seen >= share * total:
                    return microseconds / 1e6
            raise ValueError("nothing was delivered")

        return cls(total, quantile(0.5), quantile(0.99))


@dataclass(frozen=True, slots=True)
class Subscribers:
    """Who listens: to everything, or `filtered`: to one conference each."""

    streams: int
    filtered: bool = False

    @property
    def conferences(self) -> int:
        """How many conferences the events belong to, in turn."""
        return self.streams if self.filtered else webhooks.CONFERENCES


@dataclass(frozen=True, slots=True)
class SteadyLoad:
    """Events per second, and for how long. Those of the first `warm_up_s` do not count."""

    rate: int
    seconds: float
    warm_up_s: float = 1.0

    @property
    def warm_up(self) -> int:
        """How many events do not count."""
        return round(self.rate * self.warm_up_s)

    @property
    def events(self) -> int:
        """How many events are posted."""
        return self.warm_up + round(self.rate * self.seconds)


@dataclass(frozen=True, slots=True)
class DelayTurn:
    """What one load brought."""

    lags: Lags
    rate: float
    # The slowest hundredth of the poster's own delays: how far the figures can be trusted.
    poster_late_p99: float
    server_busy: float
    reader_busy: float


@dataclass(frozen=True, slots=True)
class Delays:
    """The turns by who listened."""

    turns: dict[Subscribers, list[DelayTurn]]

    def spread(self, who: Subscribers, name: str) -> Spread:
        """Return the middle and the ends of `p50` or `p99`."""
        return Spread.of([getattr(turn.lags, name) for turn in self.turns[who]])

    def rate(self, who: Subscribers) -> Spread:
        """Return the deliveries per second."""
        return Spread.of([turn.rate for turn in self.turns[who]])


def measure_delays(stage: Stage, rounds: dict[Subscribers, int], seconds: float) -> Delays:
    """Post at a fixed rate for so many seconds to each kind of subscribers, some times each."""
    gateway = stage.gateway(stage.log("delay"))
    turns = {
        who: [stage.turns.take(partial(delay_turn, stage, gateway, who, seconds)) for _ in range(n)]
        for who, n in rounds.items()
    }
    gateway.process.kill()
    return Delays(turns)


def post_steadily(
    stage: Stage,
    gateway: GatewayProcess,
    who: Subscribers,
    load: SteadyLoad,
) -> DelayTurn:
    """Post to everybody, who must be in the group `GROUP`, just opened."""
    warm_up, count = load.warm_up, load.events
    first = stage.prepare(count, who.conferences)
    meter = Meter(stage, gateway.process)
    posted = stage.post_prepared(gateway, first, load.rate)
    done = stage.finish(GROUP, count)
    took = done["at"] - posted.started
    server, reader = meter.busy(took)
    stage.reader.ask(
        "check_complete", group=GROUP, first=first, count=count, conferences=who.conferences
    )
    counts = stage.reader.ask("lags", group=GROUP, times=str(stage.times), since=first + warm_up)
    fan = 1 if who.filtered else who.streams
    return DelayTurn(Lags.of(counts), count * fan / took, posted.late_p99, server, reader)


def delay_turn(
    stage: Stage, gateway: GatewayProcess, who: Subscribers, seconds: float
) -> DelayTurn:
    """Open streams, post to them for so many seconds, and close them."""
    stage.open(
        GROUP, gateway.grpc_port, who.streams, conferences=who.conferences, filtered=who.filtered
    )
    turn = post_steadily(stage, gateway, who, SteadyLoad(RATE, seconds))
    stage.close(GROUP, gateway)
    return turn
