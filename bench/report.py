"""The table of the unary part, for people."""

from collections.abc import Mapping, Sequence

from bench.contestants.contestant import Described
from bench.latency import Duration, Latency
from bench.load import CALLS_PER_CONNECTION, CONCURRENCY, CONNECTIONS
from bench.machine import machine
from bench.processes import Cores
from bench.rounds import Rounds, Spread
from bench.stolen import Undisturbed, remark


def unary_table(
    contestants: Sequence[Described],
    rounds_by_call: Mapping[str, Rounds],
    latency: Latency,
    cores: Cores,
    undisturbed: Undisturbed,
) -> str:
    """Return the section on unary calls."""
    counts = ", ".join(
        f"{len(next(iter(rounds.loads.values())))} of {call}"
        for call, rounds in rounds_by_call.items()
    )
    lines = [
        "## Unary calls",
        "",
        f"{machine()}. All in front of the same upstream on this machine, {CONCURRENCY} calls at a "
        f"time ({CONNECTIONS} connections x {CALLS_PER_CONNECTION}; the SDK has its own pool), in "
        f"turns: rounds {counts}. Figures are medians over the rounds, in brackets the lowest and "
        "the highest. Ratios are taken within each round. Where much less than one core was busy, "
        "something else on the machine took it away: such figures are worth little.",
        "",
        _where(cores),
        "",
        remark(undisturbed),
        "",
    ]
    for call, rounds in rounds_by_call.items():
        lines += [*_rates(call, contestants, rounds), ""]
    lines += [*_latencies(latency), ""]
    lines += [f"- {it.title}: {it.remark}." for it in contestants]
    return "\n".join(lines)


def _where(cores: Cores) -> str:
    if not cores.measured:
        return "Processes run on whatever cores the system gives them."
    return (
        "What is measured has one core for itself, load and upstream share another one; each "
        "contestant is given the same, and none is slowed down by its own load."
    )


def _rates(call: str, contestants: Sequence[Described], rounds: Rounds) -> list[str]:
    lines = [
        f"| {call} | calls/s | of bare echo | gateway is | CPU per call | cores busy |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for it in contestants:
        of_echo = rounds.ratio(it.name, "bare_echo")
        gateway_is = rounds.ratio("gateway", it.name)
        cpu, busy = rounds.cpu_us(it.name), rounds.cores_used(it.name)
        cells = [
            it.title,
            spread(rounds.rate(it.name), ",.0f"),
            "1" if it.name == "bare_echo" else spread(of_echo, ".3f"),
            "" if it.name == "gateway" else "x " + spread(gateway_is, ".3f"),
            "?" if cpu is None else f"{cpu:,.0f} us",
            "?" if busy is None else f"{busy:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _latencies(latency: Latency) -> list[str]:
    return [
        "| JoinConference, one call at a time | median | 95 % below |",
        "| --- | --- | --- |",
        _duration("through the gateway, by a gRPC client", latency.gateway),
        _duration("the provider directly, by the gateway's transport", latency.direct),
        _duration("bare echo, by a gRPC client", latency.echo),
        f"| added by the gateway | {_ms(latency.added_s)} | |",
        f"| of that, beyond a bare gRPC round trip | {_ms(latency.added_beyond_grpc_s)} | |",
    ]


def _duration(title: str, duration: Duration) -> str:
    return f"| {title} | {_ms(duration.median)} | {_ms(duration.p95)} |"


def spread(of: Spread, form: str) -> str:
    """Return a spread in words: its middle, and its ends in brackets."""
    return f"{of.median:{form}} ({of.low:{form}} - {of.high:{form}})"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"
