"""Notices when there are as many connections as may be.

gRPC closes further ones as they come, and says so to nobody.
"""

from collections import Counter
from collections.abc import Sequence

from gateway.records.refusals import Refused, Subject


class Crowd:
    """Looks at connections, of which there may be `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._is_full = False

    def look(self, peers: Sequence[str]) -> Refused | None:
        """Return what to record if there have become too many of these since the last look.

        It names the address that has most of them.
        """
        was_full, self._is_full = self._is_full, len(peers) >= self._limit
        if was_full or not self._is_full:
            return None
        hosts = Counter(peer.rpartition(":")[0] for peer in peers)
        ((host, count),) = hosts.most_common(1)
        return Refused(
            Subject.GRPC_CONNECTION,
            "TOO_MANY_CONNECTIONS",
            host,
            f"{len(peers)} are open (the maximum), {count} of them from one address: further ones"
            " are closed",
            is_shortage=True,
        )
