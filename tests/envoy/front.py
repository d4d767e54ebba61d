"""An Envoy that runs, as its clients and its operator see it."""

import re
from contextlib import suppress
from dataclasses import dataclass, field

import grpc

from tests.harness.pages import http_get


@dataclass
class Front:
    """Where it listens, where its operator asks, and a channel to it."""

    address: str
    admin: str
    channel: grpc.Channel = field(init=False)

    def is_up(self) -> bool:
        with suppress(OSError):
            return http_get(self.admin, "/ready")[0] == 200
        return False

    def stat(self, name: str) -> int:
        """A counter or gauge of its own."""
        text = http_get(self.admin, f"/stats?filter=^{re.escape(name)}$")[1]
        return int(text.rpartition(":")[2])

    def healthy(self, cluster: str) -> int:
        """How many gateways it takes for healthy."""
        return self.stat(f"cluster.{cluster}.membership_healthy")
