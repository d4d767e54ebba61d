"""Build every client of examples/, run them, and print what came of it: `make interop`."""

import sys
import tempfile
from pathlib import Path
from time import monotonic

from tests.harness.needs import IN_CI
from tests.interop import commands, cuts
from tests.interop.programs import PROGRAMS, Built


def main() -> int:
    """Return 1 if anything is not as it should be."""
    built: dict[str, Built] = {}
    for name, program in PROGRAMS.items():
        if (missing := program.missing()) and not IN_CI:
            print(f"{name}: left out, {', '.join(missing)} is not here")
            continue
        began = monotonic()
        built[name] = program.build()
        print(f"{name}: built in {monotonic() - began:.0f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        began = monotonic()
        seen = cuts.run(built, Path(folder))
        took_s = monotonic() - began
    with tempfile.TemporaryDirectory() as folder, commands.stand(Path(folder)) as at:
        ended = {name: commands.cases(it, at) for name, it in built.items()}
    kills = cuts.CUTS.count(cuts.KILL)
    print(
        f"\n{cuts.EVENTS} events, {kills} kills and {len(cuts.CUTS) - kills} drains of the gateway,"
        f" one kill of each subscriber, {took_s:.0f} s\n"
    )
    print(f"{'':8}{'kept':>6}{'lost':>6}{'doubled':>9}  {'in order':10}{'commands'}")
    for name, it in seen.items():
        statuses = ", ".join(case.status for case in ended[name].values())
        order = "yes" if it.is_in_order else "NO"
        print(f"{name:8}{len(it.kept):6}{it.lost:6}{it.doubled:9}  {order:10}{statuses}")
    faults = [f"{name}, {it}" for name in built for it in commands.faults(ended[name])]
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults or not all(it.is_in_order for it in seen.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
