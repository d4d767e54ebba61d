"""Durability: what a power cut can cost, as far as the broker tells."""

from dataclasses import dataclass

# Where the broker has not said it yet.
UNKNOWN = "what a power cut can cost is not known yet: the broker is away"


@dataclass(frozen=True, slots=True)
class Durability:
    """How many servers have each event, in files. Whether they sync, they tell no client."""

    replicas: int

    def __str__(self) -> str:
        if self.replicas > 1:
            return (
                f"{self.replicas} servers keep each event: a power cut at one costs nothing; one at"
                " most of them at once costs what they have not synced, nothing with"
                " `sync_interval: always`"
            )
        return (
            "one server keeps each event: a power cut costs what it has not synced, nothing with"
            " `sync_interval: always`, up to two minutes of events by default"
        )
