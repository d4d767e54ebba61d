"""What it costs to know who calls, to hold them to their limits, and to log each call."""

import hashlib

from bench import tools
from bench.calls import JOIN
from bench.contestants.contestant import Described
from bench.contestants.gateway import start_gateway
from bench.load import H2load
from bench.machine import machine
from bench.processes import Processes
from bench.report import spread
from bench.results import Section
from bench.rounds import Rounds, run_rounds
from bench.stolen import Undisturbed, remark
from bench.unary import Plan
from bench.upstream_counts import UpstreamCounts

PART = "unary, guarded"

UNGUARDED = Described("gateway_unguarded", "unguarded", "no callers file, no access log")
GUARDED = Described(
    "gateway_guarded", "guarded", "a callers file: each call has a token, and its caller has limits"
)
LOGGED = Described("gateway_logged", "guarded, and a line for each call", "GATEWAY_ACCESS_LOG=all")

_TOKEN = "bench-token-of-a-caller-that-may-do-as-much-as-it-can"

# Limits are counted, and none is met.
_CALLERS = """
[callers.bench]
role = "operator"
identities = [{{ token_sha256 = "{digest}" }}]

[callers.bench.limits]
calls_per_second = 100000
burst = 1000000
"""


def run_guarded(plan: Plan) -> Section:
    """Measure; raises what `run_unary` raises."""
    tools.require("h2load", "grpc_tools")
    with Processes(plan.cores) as processes:
        h2load = H2load(processes)
        upstream = processes.start_module("bench.upstream", measured=False)
        url = f"http://127.0.0.1:{int(upstream.read_line())}"
        counts = UpstreamCounts(url)
        callers = processes.folder / "callers.toml"
        callers.write_text(_CALLERS.format(digest=hashlib.sha256(_TOKEN.encode()).hexdigest()))
        token = [("authorization", f"Bearer {_TOKEN}")]
        known = {"GATEWAY_CALLERS": str(callers)}
        contestants = [
            start_gateway(processes, h2load, url, plan.gateway, described, env, token)
            for described, env in (
                (UNGUARDED, {"GATEWAY_ACCESS_LOG": "off"}),
                (GUARDED, known),
                (LOGGED, {**known, "GATEWAY_ACCESS_LOG": "all"}),
            )
        ]
        for contestant in contestants:
            with counts.expect(JOIN, 1):
                contestant.check(JOIN)
        undisturbed = Undisturbed()
        rounds = run_rounds(contestants, JOIN, counts, plan.join_rounds, plan.turn_s, undisturbed)
    ratios = {it: rounds.ratio(it.name, UNGUARDED.name).median for it in (GUARDED, LOGGED)}
    numbers = {
        "unary_of_unguarded": round(ratios[LOGGED], 3),
        "unary_of_unguarded_quiet": round(ratios[GUARDED], 3),
    }
    return Section(PART, numbers, _table(rounds, undisturbed))


def _table(rounds: Rounds, undisturbed: Undisturbed) -> str:
    lines = [
        "## Callers, limits and the access log",
        "",
        f"{machine()}. The unary load of above, in {len(rounds.loads[UNGUARDED.name])} rounds of "
        "JoinConference. Every gateway counts its metrics.",
        "",
        remark(undisturbed),
        "",
        "| JoinConference | what is on | calls/s | of unguarded | CPU per call |",
        "| --- | --- | --- | --- | --- |",
    ]
    for it in (UNGUARDED, GUARDED, LOGGED):
        cpu, ratio = rounds.cpu_us(it.name), rounds.ratio(it.name, UNGUARDED.name)
        cells = [
            it.title,
            it.remark,
            spread(rounds.rate(it.name), ",.0f"),
            "1" if it is UNGUARDED else spread(ratio, ".3f"),
            "?" if cpu is None else f"{cpu:,.0f} us",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
