"""The rules that hold for all calls, and the one order in which they are applied."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from gateway.bytebudget import ByteBudget
from gateway.records.calls import CallEnded
from gateway.records.observer import Observer
from gateway.server.grpc.shell import Shell
from gateway.server.hooks.admission import Admission
from gateway.server.hooks.hook import Observed
from gateway.server.hooks.in_flight import InFlight
from gateway.server.hooks.peers import Peers
from gateway.server.hooks.silence import Silence
from gateway.server.hooks.traced import Traced
from gateway.tracecontext import Begin, passed_on


@dataclass(frozen=True, slots=True)
class Rules:
    """What is around every handler. `shell` is what handlers are registered with."""

    shell: Shell
    in_flight: InFlight
    silence: Silence
    peers: Peers

    @classmethod
    def of(
        cls,
        observe: Observer[CallEnded],
        budget: ByteBudget,
        now: Callable[[], float] = monotonic,
        begin: Begin = passed_on,
    ) -> "Rules":
        """Return rules that tell `observe` of every end; `budget` is what all buffers share.

        `now` is the monotonic clock, in seconds, and `begin` begins the span of each call.
        """
        in_flight, peers = InFlight(), Peers(budget, now)
        silence = Silence(lambda: in_flight.refusing, now)
        # From the outside in: what comes first sees the most. Refused calls are observed, too, and
        # none is in flight or counts for its connection. Errors become statuses around all of them.
        hooks = (Observed(observe), Traced(begin), in_flight, silence, Admission(peers))
        return cls(Shell(hooks, now), in_flight, silence, peers)
