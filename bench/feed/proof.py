"""Proof that the checks bite: clients are shown faulty feeds, and must refuse each."""

from bench.contestants.contestant import CheckError
from bench.feed.faults import FAULTS
from bench.feed.remote import Remote
from bench.feed.stage import Stage
from bench.processes import free_port, wait_for_port

_STREAMS = 3
_EVENTS = 20

# How long to wait for what never comes, in seconds.
_PATIENCE_S = 0.3


def prove_checks(stage: Stage) -> int:
    """Return how many faults were noticed: all that there are. Raises CheckError."""
    port = free_port()
    server = Remote(
        stage.processes.start_module("bench.feed.bare_server", str(port), measured=False)
    )
    wait_for_port(server.process, port)
    proven = 0
    # For one of three it is the comparison that notices, for all of them the decoding.
    for for_all in (True, False):
        for fault in FAULTS:
            if not _noticed(stage, server, port, fault, for_all=for_all):
                raise CheckError(f"the clients do not notice it: {fault}, for all: {for_all}")
            proven += 1
    if _noticed(stage, server, port, None, for_all=True):
        raise CheckError("the clients refuse a feed that is right")
    server.process.kill()
    return proven


def _noticed(stage: Stage, server: Remote, port: int, fault: str | None, *, for_all: bool) -> bool:
    server.ask("load", count=_EVENTS, fault=fault, for_all=for_all)
    stage.open("proof", port, _STREAMS)
    server.ask("go")
    try:
        stage.reader.ask("finish", group="proof", events=_EVENTS, timeout_s=_PATIENCE_S)
        stage.reader.ask("check_complete", group="proof", first=0, count=_EVENTS, conferences=1)
    except CheckError:
        return True
    finally:
        stage.reader.ask("start_over")
    return False
