"""The unary part: commands and queries through the gateway, beside everything to compare with."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench import tools
from bench.calls import CALLS, GET, JOIN
from bench.contestants.bare_echo import start_bare_echo
from bench.contestants.contestant import Contestant
from bench.contestants.envoy import start_envoy
from bench.contestants.gateway import COMMAND, start_gateway
from bench.contestants.sdk import start_sdk
from bench.latency import measure_latency
from bench.load import H2load
from bench.processes import NO_CORES, Cores, Processes
from bench.report import unary_table
from bench.results import Section
from bench.rounds import run_rounds
from bench.stolen import Undisturbed
from bench.upstream_counts import UpstreamCounts

PART = "unary"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure. The default takes about a minute and a half."""

    # Rounds of the command, which the headline figures are of, and of the query.
    join_rounds: int = 7
    get_rounds: int = 3
    # How long a contestant's turn takes, in seconds.
    turn_s: float = 1.2
    cores: Cores = NO_CORES
    # How the gateway is started.
    gateway: Sequence[str] = COMMAND


def run_unary(plan: Plan) -> Section:
    """Measure.

    Raises MissingToolsError before anything is started, ProcessFailedError, CheckError, LoadError
    or ImpossibleFigureError if anything does not do what it should; there are no results then.
    """
    tools.require("h2load", "envoy", "telnyx", "grpc_tools")
    with Processes(plan.cores) as processes:
        h2load = H2load(processes)
        upstream = processes.start_module("bench.upstream", measured=False)
        port = int(upstream.read_line())
        url = f"http://127.0.0.1:{port}"
        counts = UpstreamCounts(url)

        gateway = start_gateway(processes, h2load, url, plan.gateway)
        envoy = start_envoy(processes, h2load, port)
        sdk = start_sdk(processes, url)
        _check((gateway, envoy, sdk), counts)
        echo = start_bare_echo(
            processes, h2load, {call.name: gateway.answer_length(call) for call in CALLS.values()}
        )
        _check((echo,), counts)

        contestants = (echo, gateway, sdk, envoy)
        undisturbed = Undisturbed()
        join = run_rounds(contestants, JOIN, counts, plan.join_rounds, plan.turn_s, undisturbed)
        get = run_rounds(contestants, GET, counts, plan.get_rounds, plan.turn_s, undisturbed)
        latency = measure_latency(processes, JOIN, gateway.address, echo.address, url)

    return Section(
        PART,
        {
            "unary_of_bare_echo": round(join.ratio("gateway", "bare_echo").median, 3),
            "unary_of_sdk": round(join.ratio("gateway", "sdk").median, 3),
            "unary_of_envoy": round(join.ratio("gateway", "envoy").median, 3),
            "unary_added_ms": round(latency.added_s * 1e3, 3),
        },
        unary_table(
            [it.described for it in contestants],
            {JOIN.name: join, GET.name: get},
            latency,
            plan.cores,
            undisturbed,
        ),
    )


def _check(contestants: Sequence[Contestant], counts: UpstreamCounts) -> None:
    for contestant in contestants:
        for call in CALLS.values():
            with counts.expect(call, 1 if contestant.described.asks_upstream else 0):
                contestant.check(call)
