"""What all buffers of the process may hold together."""

import logging

# A share for requests that are being received, responses that wait to be taken by slow clients,
# and what the provider sends, in bytes. Each has a bound of its own as well; this one holds when
# all come at once, and leaves a container of 512 MiB room for the process itself.
BUFFERED_BYTES_MAX = 128 * 1024 * 1024

_MIB = 1024 * 1024

_log = logging.getLogger(__name__)


class ByteBudget:
    """A number of bytes that its users may hold together.

    Whoever takes gives the same back once. New work asks with `try_take` and is refused when there
    is no room; work that has begun takes what it needs with `take`, so that it can end.
    """

    def __init__(self, limit: int = BUFFERED_BYTES_MAX) -> None:
        self.limit = limit
        # How many bytes are held at present, and how often somebody was refused.
        self.held = 0
        self.refused = 0

    def has_room(self, size: int) -> bool:
        """Tell whether `size` bytes could be taken now; if not, it counts as a refusal."""
        if self.held + size <= self.limit:
            return True
        self.refused += 1
        _log.warning(
            "buffers are full: new work is rejected while they hold %d of %d MiB",
            self.held // _MIB,
            self.limit // _MIB,
        )
        return False

    def try_take(self, size: int) -> bool:
        """Take `size` bytes and return True, or take nothing if they exceed what is left."""
        if not self.has_room(size):
            return False
        self.held += size
        return True

    def take(self, size: int) -> None:
        """Take `size` bytes, whether there is room or not."""
        self.held += size

    def give_back(self, size: int) -> None:
        """Give back what was taken."""
        self.held -= size


class Share:
    """What one user of a budget holds: it grows as it is needed, and is given back whole."""

    __slots__ = ("_budget", "_held")

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._held = 0

    def grow_to(self, size: int) -> bool:
        """Hold `size` bytes and return True, or hold no more than before if there is no room."""
        more = size - self._held
        if more <= 0:
            return True
        if not self._budget.try_take(more):
            return False
        self._held = size
        return True

    def close(self) -> None:
        """Give all of it back."""
        self._budget.give_back(self._held)
        self._held = 0
