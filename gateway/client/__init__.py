"""What talks to a gateway over gRPC, as any other client would: by the generated stubs.

A subscriber in Python begins here: `subscribe` follows the feed across restarts, and `errors.of`
reads what an RPC failed with.
"""

from gateway.client import errors
from gateway.client.subscription import CHANNEL_OPTIONS, Subscription, subscribe

__all__ = ["CHANNEL_OPTIONS", "Subscription", "errors", "subscribe"]
