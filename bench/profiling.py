"""Where the time of a call goes: the gateway under load, sampled from outside.

py-spy reads the stacks of the running process without its help, those of C code too, so the
gateway is started as users start it and is not slowed down as it would be by a profiler within.
Only threads that hold the interpreter's lock are sampled: that lock is what a Python server runs
out of first, and threads that wait look busy otherwise. What gRPC's own threads do without the
lock is told as their processor time.
"""

from pathlib import Path

from bench import tools
from bench.calls import JOIN
from bench.contestants.gateway import start_gateway
from bench.contestants.rpc import RpcContestant
from bench.load import H2load
from bench.processes import Cores, Process, Processes, ProcessFailedError
from bench.stacks import FunctionCost, Stacks

# Samples per second: a call takes some hundred microseconds, so each sample is another call's.
_SAMPLES_PER_S = 200

# How many functions are shown.
_ROWS = 40

# Calls of one load: short, so that the load ends soon after the sampling does.
_CALLS_PER_LOAD = 400

# Calls whose processor time is told: a few seconds of the clock's ticks of 10 ms.
_CALLS_FOR_THREADS = 1_500

_HINT = "It needs the right to look into other processes: be root, or allow ptrace."


def profile_gateway(folder: Path, seconds: float, cores: Cores) -> str:
    """Profile JoinConference and write the stacks, a table and a flame graph into a folder.

    Returns the table. Raises as `run_unary` does.
    """
    tools.require("h2load", "py-spy")
    folder.mkdir(parents=True, exist_ok=True)
    stacks, graph = folder / "stacks.txt", folder / "flame.svg"
    with Processes(cores) as processes:
        upstream = processes.start_module("bench.upstream", measured=False)
        url = f"http://127.0.0.1:{upstream.read_line()}"
        gateway = start_gateway(processes, H2load(processes), url)
        gateway.check(JOIN)
        gateway.load(JOIN, _CALLS_PER_LOAD)
        threads = _threads(gateway)
        _sample(processes, gateway, seconds, "raw", stacks)
        _sample(processes, gateway, seconds, "flamegraph", graph)
    table = f"{threads}\n\n{_table(Stacks.read(stacks.read_text().splitlines()))}"
    (folder / "table.md").write_text(table + "\n")
    return f"{table}\n\nFlame graph: {graph}"


def _sample(
    processes: Processes, gateway: RpcContestant, seconds: float, form: str, output: Path
) -> None:
    sampler = processes.start(
        "py-spy",
        [
            tools.program("py-spy"),
            "record",
            f"--pid={gateway.process.pid}",
            f"--format={form}",
            f"--output={output}",
            f"--duration={seconds:.0f}",
            f"--rate={_SAMPLES_PER_S}",
            "--gil",
            "--native",
            "--function",
            "--threads",
        ],
        {},
        measured=False,
    )
    while not sampler.ended:
        gateway.load(JOIN, _CALLS_PER_LOAD)
    _check(sampler, output)


def _threads(gateway: RpcContestant) -> str:
    process = gateway.process
    main_before, all_before = process.main_thread_cpu_s(), process.cpu_s()
    load = gateway.load(JOIN, _CALLS_FOR_THREADS)
    main_after, all_after = process.main_thread_cpu_s(), process.cpu_s()
    if None in (main_before, all_before) or main_after is None or all_after is None:
        return "Processor time per thread is not known here."
    main = (main_after - (main_before or 0)) / load.calls * 1e6
    total = (all_after - (all_before or 0)) / load.calls * 1e6
    return (
        f"Without the profiler: {load.rate:,.0f} calls/s; processor time per call {total:,.0f} us, "
        f"of which {main:,.0f} us in the main thread and {total - main:,.0f} us in others."
    )


def _check(sampler: Process, output: Path) -> None:
    if not output.exists():
        raise ProcessFailedError(f"py-spy took no samples:\n{sampler.log_tail()}\n{_HINT}")


def _table(stacks: Stacks) -> str:
    own, cumulative = stacks.costliest(_ROWS)
    return "\n".join(
        [
            f"{stacks.samples} samples of JoinConference under load; shares of the time in which "
            "the interpreter was busy.",
            "",
            *_rows("by own time", own),
            "",
            *_rows("by cumulative time", cumulative),
        ]
    )


def _rows(title: str, costs: list[FunctionCost]) -> list[str]:
    return [
        f"| {title} | own | cumulative |",
        "| --- | --- | --- |",
        *(f"| {cost.name} | {cost.own:.1%} | {cost.cumulative:.1%} |" for cost in costs),
    ]
