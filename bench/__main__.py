"""`python -m bench` measures everything, `python -m bench profile` one call from within.

`python -m bench unary`, `guarded`, `traced` and `feed` measure one part, `python -m bench feed
--only NAME` one thing of it. What was measured takes its place in the results, the rest stays.
"""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from bench.contestants.contestant import CheckError
from bench.feed.part import MEASUREMENTS, FeedPlan, run_feed
from bench.figures import ImpossibleFigureError
from bench.guarded import run_guarded
from bench.load import LoadError
from bench.processes import Cores, ProcessFailedError
from bench.profiling import profile_gateway
from bench.results import Section, write_results
from bench.tools import MissingToolsError
from bench.traced import run_traced
from bench.unary import Plan, run_unary

# Exit codes: something to install is missing, and a run that failed.
EXIT_MISSING = 2
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

DEFAULT_PROFILE_FOLDER = Path(".cache/profile")

COMMANDS = ("all", "unary", "guarded", "traced", "feed", "profile")


def main() -> int:
    """Run what the command line asks for and return the exit code."""
    options = _options()
    # Ends like Ctrl-C does: in order.
    signal.signal(signal.SIGTERM, _interrupt)
    cores = Cores.split() if options.pin else Cores()
    try:
        if options.command == "profile":
            print(profile_gateway(options.folder, options.seconds, cores))
        else:
            plan = Plan(options.rounds, options.get_rounds, options.turn, cores)
            if options.command in ("all", "unary"):
                _show(run_unary(plan))
            if options.command in ("all", "guarded"):
                _show(run_guarded(plan))
            if options.command in ("all", "traced"):
                _show(run_traced(plan))
            if options.command in ("all", "feed"):
                for section in run_feed(FeedPlan(cores=cores), options.only):
                    _show(section)
    except MissingToolsError as error:
        print(f"bench: {error}", file=sys.stderr)
        return EXIT_MISSING
    except (CheckError, ImpossibleFigureError, LoadError, ProcessFailedError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def _show(section: Section) -> None:
    print(section.table)
    print()
    for name, number in section.numbers.items():
        print(f"{name} = {number}")
    write_results(section)


def _options() -> argparse.Namespace:
    plan = Plan()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("command", nargs="?", choices=COMMANDS, default="all")
    parser.add_argument("--only", choices=MEASUREMENTS, help="one measurement of the feed")
    parser.add_argument("--rounds", type=int, default=plan.join_rounds, help="of JoinConference")
    parser.add_argument("--get-rounds", type=int, default=plan.get_rounds, help="of GetConference")
    parser.add_argument("--turn", type=float, default=plan.turn_s, help="seconds of a turn")
    parser.add_argument(
        "--pin",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="give what is measured a core of its own",
    )
    parser.add_argument(
        "--folder", type=Path, default=DEFAULT_PROFILE_FOLDER, help="where a profile is put"
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="how long to profile")
    return parser.parse_args()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
