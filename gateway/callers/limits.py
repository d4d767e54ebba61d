"""Limits of one caller: how much of the gateway it may use, whatever connections it comes over.

A caller is a service of the mesh with all its replicas. The defaults are far above what one needs
that works, and low enough that one that does not leaves room for the others.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

_MIB = 1024 * 1024

# Without a burst of its own, a rate allows what it allows in so many seconds at once.
_BURST_S = 2


def _bound(default: float, most: float, least: float = 1) -> Any:
    return field(default=default, metadata={"least": least, "most": most})


@dataclass(frozen=True, slots=True)
class Limits:
    """What a caller may use; the names are those of the table `limits` in the callers file."""

    # Calls that may begin, streams among them: a third of what one gateway serves.
    calls_per_second: float = _bound(1_000, 100_000, 0.01)
    # So many of them at once, after a pause: all its streams, which come back together when the
    # gateway has been restarted.
    burst: int = _bound(2_000, 1_000_000)
    # Calls with one response that are in progress. By default 100 requests to the provider are in
    # flight and 1,000 wait: while the provider hangs, no caller fills half of that.
    calls_in_progress: int = _bound(500, 100_000)
    # Streams that are open: a fifth of the calls that one gateway has in progress.
    streams: int = _bound(2_000, 100_000)
    # Conferences that are watched, each counted once. Each costs the provider four requests a
    # minute: these take two thirds of what all may cost by default (`GATEWAY_WATCH_REQUESTS`).
    watched_conferences: int = _bound(500, 100_000)
    # What the filters of its open streams take together, in bytes: a quarter of what those of all
    # callers may take, such as 250 streams with 150 ids each.
    filter_bytes: int = _bound(16 * _MIB, 1024 * _MIB)
    # Searches of the event log in progress (ListEvents): an eighth of those that may wait. They
    # take turns with those of others, so more of them would not be faster.
    searches: int = _bound(32, 10_000)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Limits":
        """Read a table of limits; what it does not name has its default.

        Without `burst`, a `calls_per_second` allows that of two seconds at once. Raises ValueError
        with every mistake, a line each.
        """
        known = {it.name: it for it in fields(cls)}
        mistakes = []
        for name, value in given.items():
            if name not in known:
                mistakes.append(f"{name[:80]!r} is no limit{_hint(name, known)}")
            else:
                mistakes += _mistakes(name, value, known[name].metadata, known[name].type)
        if mistakes:
            raise ValueError("\n".join(mistakes))
        values = dict(given)
        if "calls_per_second" in values:
            values.setdefault("burst", max(1, round(values["calls_per_second"] * _BURST_S)))
        return cls(**values)


# Those of a caller for whom the file sets none.
DEFAULTS = Limits()


def _hint(name: str, known: Mapping[str, Any]) -> str:
    meant = difflib.get_close_matches(name, known, 1)
    return f": did you mean {meant[0]}?" if meant else f"; known are {', '.join(known)}"


def _mistakes(name: str, value: Any, bounds: Mapping[str, float], kind: Any) -> list[str]:
    least, most = bounds["least"], bounds["most"]
    # Python counts booleans as numbers; TOML has `nan`, which no comparison refuses.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and (kind is float or isinstance(value, int)) and least <= value <= most:
        return []
    noun = "number" if kind is float else "whole number"
    return [f"{name} must be a {noun} from {least:,} to {most:,}"]
