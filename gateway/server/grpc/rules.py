"""The rules that hold for all calls, and the one order in which they are applied."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from gateway.bytebudget import ByteBudget
from gateway.callers.accounts import Accounts
from gateway.records.calls import CallEnded
from gateway.records.observer import Observer
from gateway.server.grpc.heldback import HeldBack
from gateway.server.grpc.shell import Shell
from gateway.server.hooks.admission import Admission
from gateway.server.hooks.given_up import GivenUp
from gateway.server.hooks.hook import Hook, Observed
from gateway.server.hooks.identity import Identity
from gateway.server.hooks.in_flight import InFlight
from gateway.server.hooks.limits import CallerLimits
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
    identity: Identity | None
    limits: CallerLimits | None

    @classmethod
    def of(
        cls,
        observe: Observer[CallEnded],
        budget: ByteBudget,
        now: Callable[[], float] = monotonic,
        begin: Begin = passed_on,
        identity: Identity | None = None,
    ) -> "Rules":
        """Return rules that tell `observe` of every end; `budget` is what all buffers share.

        `now` is the monotonic clock, in seconds, and `begin` begins the span of each call.
        `identity` finds out who calls; without it every caller is unnamed, and may do and see
        everything.
        """
        in_flight, peers = InFlight(), Peers(budget, now)
        silence = Silence(lambda: in_flight.refusing, now)
        # From the outside in: what comes first sees the most. Refused calls are observed, too, and
        # none is in flight or counts for its connection. Errors become statuses around all of them.
        # Who is unknown counts for its connection, too: what bounds that must hold for everybody,
        # and whoever opens calls and gives them up needs no credentials for it.
        hooks: tuple[Hook, ...] = (
            Observed(observe),
            Traced(begin),
            in_flight,
            silence,
            Admission(peers),
            GivenUp(peers),
        )
        limits = None
        if identity is not None:
            limits = CallerLimits(Accounts(now))
            hooks += (identity, limits)
        held_back = HeldBack(peers.gave_up, lambda: in_flight.refusing)
        return cls(Shell(hooks, now, held_back), in_flight, silence, peers, identity, limits)
