"""The service configs: how a client balances, checks health, waits and retries, for each RPC.

Their form is that of `grpc.service_config.ServiceConfig` as JSON. A channel has one config, and a
config has one service whose health is checked: so those who call the provider and those who follow
the feed have configs, and channels, of their own. The provider's outage then stops no stream.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from conferencing.v1 import conference_service_pb2, event_service_pb2, queue_service_pb2

_NAME = re.compile(r'\{\s+("service": "[^"]+"),\s+("method": "[^"]+")\s+\}')

_FILES = (conference_service_pb2, queue_service_pb2, event_service_pb2)

# The field of a command by which the provider knows that it has run it already.
_COMMAND_ID = "command_id"

# Twice what the gateway gives a call without a deadline: so a second attempt, at another gateway,
# has all of its time. A shorter deadline of the caller's goes first.
_TIMEOUT = "20s"

# Four attempts within some seconds bridge a restart. Only UNAVAILABLE: from the gateway it always
# means that nothing can happen twice. When the gateway says how long to wait, that goes first.
_RETRY = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}

# A client whose calls fail does not multiply the load: after fifty failures in a row it retries no
# more, until ten calls have succeeded for each further retry.
_THROTTLING = {"maxTokens": 100, "tokenRatio": 0.1}


def configs() -> dict[str, dict[str, Any]]:
    """Return the service configs by the names of their files."""
    services = [it for file in _FILES for it in file.DESCRIPTOR.services_by_name.values()]
    commands = [it for it in services if any(_calls_provider(rpc) for rpc in it.methods)]
    feed = [it for it in services if it not in commands]
    return {
        "commands.json": _config(commands, ids_are_set=False),
        "commands-with-ids.json": _config(commands, ids_are_set=True),
        "events.json": _config(feed, ids_are_set=False),
    }


def text_of(config: dict[str, Any]) -> str:
    """Return a config as JSON, for files: a line for each RPC."""
    return _NAME.sub(r"{\1, \2}", json.dumps(config, indent=2)) + "\n"


def may_retry(rpc: MethodDescriptor, *, ids_are_set: bool) -> bool:
    """Return whether a client may send a call again of which it knows only that it broke off.

    With `ids_are_set` the caller sets `command_id` on every command that has one.
    """
    level = rpc.GetOptions().idempotency_level
    if level == MethodOptions.IDEMPOTENCY_UNKNOWN:
        return False
    # Of a command with such a field, only the id makes a second run harmless.
    return ids_are_set or _COMMAND_ID not in rpc.input_type.fields_by_name


def _calls_provider(rpc: MethodDescriptor) -> bool:
    return rpc.GetOptions().HasExtension(annotations_pb2.http)


def _config(services: Sequence[ServiceDescriptor], *, ids_are_set: bool) -> dict[str, Any]:
    rpcs = [rpc for service in services for rpc in service.methods]
    groups: dict[tuple[bool, bool], list[MethodDescriptor]] = {}
    for rpc in rpcs:
        key = (may_retry(rpc, ids_are_set=ids_are_set), rpc.server_streaming)
        groups.setdefault(key, []).append(rpc)
    return {
        "loadBalancingConfig": [{"round_robin": {}}],
        # All of them need the same, so one stands for all.
        "healthCheckConfig": {"serviceName": services[0].full_name},
        "retryThrottling": _THROTTLING,
        "methodConfig": [
            _method_config(groups[key], retried=key[0], streams=key[1])
            for key in sorted(groups, reverse=True)
        ],
    }


def _method_config(
    rpcs: Iterable[MethodDescriptor], *, retried: bool, streams: bool
) -> dict[str, Any]:
    config: dict[str, Any] = {
        "name": [{"service": it.containing_service.full_name, "method": it.name} for it in rpcs]
    }
    if not streams:
        config["timeout"] = _TIMEOUT
    if retried:
        config["retryPolicy"] = _RETRY
    return config
