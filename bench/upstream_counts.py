"""What the upstream has been asked, seen from the bench."""

import contextlib
import json
import urllib.request
from collections.abc import Iterator

from bench.calls import UnaryCall
from bench.load import LoadError
from bench.upstream import COUNTS_PATH

# How long the upstream may take to tell its counts, in seconds.
_TIMEOUT_S = 10.0


class UpstreamCounts:
    """Reads the upstream's counts."""

    def __init__(self, base_url: str) -> None:
        self._url = base_url + COUNTS_PATH
        # No proxy is on the way to this machine itself.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def count(self, call: UnaryCall) -> int:
        """Return how often the upstream has answered a call's REST request."""
        with self._opener.open(self._url, timeout=_TIMEOUT_S) as response:
            return int(json.load(response)[call.request_line])

    @contextlib.contextmanager
    def expect(self, call: UnaryCall, times: int) -> Iterator[None]:
        """Raise LoadError unless the upstream is asked this often meanwhile, no more, no less."""
        before = self.count(call)
        yield
        asked = self.count(call) - before
        if asked != times:
            raise LoadError(f"{call.request_line}: asked {asked} times instead of {times}")
