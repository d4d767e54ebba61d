"""Standings: how the streams of each caller stand."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gateway.feed.dispatch import Follower


class Standing(NamedTuple):
    """How many streams a caller has open, and how many events the slowest has yet to look at."""

    streams: int = 0
    backlog: int = 0


class Standings:
    """Looks at everybody who follows; callers that are gone stand at nothing.

    There is always one of callers without a name.
    """

    def __init__(self) -> None:
        self._known: dict[str, None] = {"": None}

    def by_caller(self, followers: Iterable[Follower]) -> Mapping[str, Standing]:
        """Return the standing of each caller by its name."""
        found: dict[str, Standing] = {}
        for follower in followers:
            streams, backlog = found.get(follower.caller, (0, 0))
            found[follower.caller] = Standing(streams + 1, max(backlog, follower.backlog))
        self._known |= dict.fromkeys(found)
        return {name: found.get(name, Standing()) for name in self._known}
