"""How long streams may be silent and open."""

import random
from dataclasses import dataclass

# Streams opened together (after a restart, say) must not all end or beat together.
_JITTER = 0.1


@dataclass(frozen=True, slots=True)
class StreamTimes:
    """How long a stream may be silent, and how long it may be open, in seconds."""

    heartbeat_s: float
    age_max_s: float

    def jittered(self, random_: random.Random) -> "StreamTimes":
        """Return times that are shorter by up to a tenth, differently for each stream."""
        return StreamTimes(
            self.heartbeat_s * (1 - _JITTER * random_.random()),
            self.age_max_s * (1 - _JITTER * random_.random()),
        )
