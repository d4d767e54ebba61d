"""What traces cost: the same command through a gateway that traces one call in a hundred."""

from bench import tools
from bench.calls import JOIN
from bench.contestants.contestant import CheckError, Described
from bench.contestants.gateway import GATEWAY, start_gateway
from bench.load import H2load
from bench.machine import machine
from bench.processes import Processes
from bench.report import spread
from bench.results import Section
from bench.rounds import Rounds, run_rounds
from bench.stolen import Undisturbed, remark
from bench.unary import Plan
from bench.upstream_counts import UpstreamCounts

PART = "unary, traced"

TRACED = Described(
    "gateway_traced",
    "this gateway, traced",
    "one call in a hundred is sampled; spans go to a collector over OTLP/HTTP",
)

# Of each call that is sampled: the RPC, and the request to the provider.
_SPANS_PER_CALL = 2
_SAMPLED = 0.01


def run_traced(plan: Plan) -> Section:
    """Measure; raises what `run_unary` raises."""
    tools.require("h2load", "grpc_tools", "opentelemetry")
    with Processes(plan.cores) as processes:
        h2load = H2load(processes)
        upstream = processes.start_module("bench.upstream", measured=False)
        url = f"http://127.0.0.1:{int(upstream.read_line())}"
        counts = UpstreamCounts(url)
        collector = processes.start_module("bench.collector", measured=False)
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{int(collector.read_line())}",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": str(_SAMPLED),
        }
        plain = start_gateway(processes, h2load, url, plan.gateway)
        traced = start_gateway(processes, h2load, url, plan.gateway, TRACED, env)
        for contestant in (plain, traced):
            with counts.expect(JOIN, 1):
                contestant.check(JOIN)
        undisturbed = Undisturbed()
        rounds = run_rounds(
            (plain, traced), JOIN, counts, plan.join_rounds, plan.turn_s, undisturbed
        )
        # It exports what it has left before it ends.
        traced.process.terminate()
        traced.process.end()
        _check_spans(int(collector.ask("")), rounds)
    ratio = rounds.ratio(TRACED.name, GATEWAY.name)
    return Section(
        PART,
        {"unary_traced_of_untraced": round(ratio.median, 3)},
        _table(rounds, undisturbed),
    )


def _check_spans(spans: int, rounds: Rounds) -> None:
    """Raise CheckError unless about as many spans have come as calls were sampled."""
    calls = sum(load.calls for load in rounds.loads[TRACED.name])
    wanted = calls * _SAMPLED * _SPANS_PER_CALL
    # Beside those of the rounds there are those of warming up. Chance takes some away.
    if not wanted / 2 <= spans <= wanted * 3:
        raise CheckError(f"{calls} calls made {spans} spans; about {wanted:.0f} should have come")


def _table(rounds: Rounds, undisturbed: Undisturbed) -> str:
    lines = [
        "## Traces",
        "",
        f"{machine()}. The unary load of above, in {len(rounds.loads[GATEWAY.name])} rounds of "
        f"JoinConference: {TRACED.remark}.",
        "",
        remark(undisturbed),
        "",
        "| JoinConference | calls/s | of untraced | CPU per call |",
        "| --- | --- | --- | --- |",
    ]
    for it in (GATEWAY, TRACED):
        cpu, of_plain = rounds.cpu_us(it.name), rounds.ratio(it.name, GATEWAY.name)
        cells = [
            it.title,
            spread(rounds.rate(it.name), ",.0f"),
            "1" if it is GATEWAY else spread(of_plain, ".3f"),
            "?" if cpu is None else f"{cpu:,.0f} us",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
