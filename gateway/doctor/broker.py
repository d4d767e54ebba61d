"""The NATS servers and the stream of the event log: in the order in which to mend them."""

import re
from collections.abc import Iterator

from gateway.config import Settings
from gateway.doctor.disk import size_text
from gateway.doctor.finding import Finding, fault, ok, warning
from gateway.journal.jetstream.examining import Examined, ServerFacts, StreamFacts

# The first release in which a batch of events shares one sync, and the log has what it relies on.
_VERSION_MIN = (2, 15)

# No event with its signed bytes is larger, in bytes: clients of the feed accept no more.
_EVENT_BYTES_MAX = 4 * 1024 * 1024

# Copies of each event with which one server may be lost at any time.
_REPLICAS = 3

_SUBJECT = "NATS"


def findings(settings: Settings, found: Examined) -> Iterator[Finding]:
    """Yield what is to be said of it."""
    where = str(settings.event_log)
    if found.not_let_in:
        yield fault(
            "GATEWAY_NATS_*",
            found.failure,
            "have GATEWAY_NATS_LOGIN, _TOKEN, _CREDS or _NKEY name a file with what the servers"
            " want, and GATEWAY_NATS_TLS_CERT if they want a certificate",
        )
        return
    if found.server is None:
        yield fault(
            _SUBJECT,
            found.failure,
            "check GATEWAY_EVENT_LOG, the network, that the servers run, and GATEWAY_NATS_TLS_* if"
            " they ask for TLS",
        )
        return
    yield ok(_SUBJECT, f"{where} can be reached, and lets the gateway in")
    yield _version(found.server)
    if found.server.has_jetstream is False:
        yield fault(
            "JetStream",
            "the server has it switched off",
            "give the server `jetstream { store_dir: ..., sync_interval: always }`",
        )
        return
    if found.not_told:
        yield fault(
            "JetStream",
            found.not_told,
            "is JetStream on, does it have a leader, and may the user ask it? docs/scaling.md lists"
            " the rights that a gateway needs",
        )
        return
    yield ok("JetStream", "is on")
    yield _payload(found.server, found.stream)
    if found.stream is None:
        yield from _room_for_new(settings, found)
        return
    yield from _of_stream(settings, found.server, found.stream)


def _version(server: ServerFacts) -> Finding:
    numbers = tuple(map(int, re.findall(r"\d+", server.version)[:2]))
    if numbers < _VERSION_MIN:
        wanted = ".".join(map(str, _VERSION_MIN))
        return fault(
            "NATS version",
            f"the server has {server.version or 'none that it tells'}",
            f"upgrade all servers to {wanted} or newer",
        )
    return ok("NATS version", server.version)


def _payload(server: ServerFacts, stream: StreamFacts | None) -> Finding:
    limits = {"max_payload of the servers": server.payload_max}
    if stream is not None and stream.message_max is not None:
        limits["max_msg_size of the stream"] = stream.message_max
    name, least = min(limits.items(), key=lambda it: it[1])
    text = f"{name} is {size_text(least)}"
    if least < _EVENT_BYTES_MAX:
        return warning(
            "largest event",
            f"{text}, and an event may have {size_text(_EVENT_BYTES_MAX)}: a larger one is refused"
            " with 503",
            f"raise {name}, for example to 8MB",
        )
    return ok("largest event", text)


def _room_for_new(settings: Settings, found: Examined) -> Iterator[Finding]:
    wanted, left = settings.retention_size, found.storage_left
    text = "the stream is not there, and is made by the first gateway that starts"
    if left is not None and left < wanted:
        yield fault(
            "stream",
            f"{text}; the account has {size_text(max(left, 0))} left for it",
            f"lower GATEWAY_RETENTION_SIZE ({size_text(wanted)}), or raise the account's limit",
        )
    else:
        yield ok("stream", text)


def _of_stream(settings: Settings, server: ServerFacts, stream: StreamFacts) -> Iterator[Finding]:
    if stream.moved:
        yield fault("stream", stream.moved, "set GATEWAY_EVENT_LOG to where the log is")
        return
    for text in stream.wrong:
        yield fault("stream", text, "change it with `nats stream edit`, or name another stream")
    if not stream.wrong:
        yield ok("stream", "it is as the log needs it")
    yield _room(stream)
    yield _replicas(server, stream)


def _room(stream: StreamFacts) -> Finding:
    if stream.max_bytes is None:
        return warning(
            "stream size",
            f"{size_text(stream.size_bytes)}, and it may grow until the servers' disks are full",
            "give it a limit: `nats stream edit --max-bytes`",
        )
    return ok("stream size", f"{size_text(stream.size_bytes)} of {size_text(stream.max_bytes)}")


def _replicas(server: ServerFacts, stream: StreamFacts) -> Finding:
    text = f"{stream.replicas} keep{'' if stream.replicas > 1 else 's'} each event"
    if stream.lacking:
        return warning(
            "replicas",
            f"{text}, of which {', '.join(stream.lacking)} lack some",
            "start those servers, and wait until they are up with the others",
        )
    if server.cluster and stream.replicas < _REPLICAS:
        return warning(
            "replicas",
            f"{text} of the cluster {server.cluster}: without that server there is no log",
            f"`nats stream edit --replicas {_REPLICAS}`, for the stream and the bucket beside it",
        )
    return ok("replicas", text)
