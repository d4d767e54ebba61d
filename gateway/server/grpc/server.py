"""The gRPC server: its options, what is registered beside our own services, and how it ends."""

import asyncio
import errno
import logging
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress

import grpc

from gateway.address import Address, SocketFile, TcpAddress
from gateway.background import kept_running
from gateway.process import within_descriptors
from gateway.records.calls import UnknownCalls
from gateway.records.connections import ConnectionClosed, ConnectionHeld
from gateway.records.observer import Observer, ignore
from gateway.records.refusals import Refused, Subject
from gateway.server.grpc.beside import OPEN, Beside
from gateway.server.grpc.connections import Connections
from gateway.server.grpc.crowd import Crowd
from gateway.server.grpc.floods import LOOK_AT_MOST_EVERY_S, LOOK_EVERY_S, Floods
from gateway.server.grpc.health import HealthService
from gateway.server.grpc.rules import Rules
from gateway.server.grpc.shell import Methods
from gateway.server.grpc.sockets import Bound
from gateway.server.grpc.tls import server_credentials
from gateway.server.grpc.unknown import UnknownMethods
from gateway.server.hooks.admission import METADATA_BYTES_MAX
from gateway.server.hooks.peers import CALLS_PER_CONNECTION_MAX, STREAMED_PER_CONNECTION_MAX
from gateway.socketfile import SocketFilePlace
from gateway.tls.current import CurrentCredentials

# The largest request, in bytes. Commands are a few hundred bytes, spoken text at most 3,000
# characters; gRPC's own default of 4 MiB only helps those who mean harm.
REQUEST_BYTES_MAX = 1024 * 1024

# Clients that ping on an idle connection every 10-30 s are common (Go, Java); gRPC's default
# cuts off whoever pings more often than once in five minutes.
PING_INTERVAL_MIN_MS = 5_000

# Pings beyond that which a client may send before its connection is closed (gRPC's own default).
PING_STRIKES_MAX = 2

# Calls that wait to be taken up. Beyond the first number gRPC turns some away at random, beyond the
# second all, and tells their callers CANCELLED. By default it begins at 1,000, which a restart of
# the gateway with some thousand subscribers exceeds at once: 5,000 must get in. Each takes about
# 33 KB. This holds for each method: gRPC keeps a queue for each (see `GrpcServer`).
PENDING_CALLS_MAX = 6_000
PENDING_CALLS_LIMIT = 8_000

# The share of the descriptors that connections may have: those over HTTP have 0.46, and the
# rest is for the log and for requests to the provider, 200 by default.
SHARE_OF_DESCRIPTORS = 0.3

# Streams that gRPC keeps for one connection, those included that the client has given up and we
# have not yet come to; it refuses others at once. That bounds what a client can make it remember
# (CVE-2023-44487), and what others wait for. The bound on the calls of a connection does neither,
# because it counts a call when we come to it: gRPC hands us one after the other, whoever sent it,
# some 3,000 a second. Of 30,000 short calls sent in one go, others waited 0.2 s with this bound;
# without it they waited 3 s, some were among those that gRPC cancels, and 160 MiB more were held.
#
# A fifth more than the calls that we take of a connection. Client libraries keep calls beyond the
# number of streams to themselves until one ends, and tell nobody. So calls beyond ours still come,
# and are refused in words, and a connection full of streams can be asked for its health.
STREAMS_PER_CONNECTION_MAX = CALLS_PER_CONNECTION_MAX * 6 // 5

# How long a new connection may take to show that it speaks HTTP/2, in milliseconds.
HANDSHAKE_MS = 10_000

# How long a connection may be without a call, in milliseconds; a stream is one, and so is a watch
# on the health. Each takes a place among those that may be open, and whoever does not use it for a
# quarter of an hour opens another when there is a call: in milliseconds, and libraries do it by
# themselves. Shorter, and clients that call every few minutes would shake hands each time.
IDLE_MS = 1_000_000

# How often a drain looks for connections without calls in flight, in seconds, and after how many
# further looks one is closed whose client was told to go and stays: calls that it had sent before
# have their refusals by then, even where the network or the machine is slow.
_LOOK_EVERY_S = 0.2
_LOOKS_BEFORE_CLOSING = 4

# How long a drain waits for those who watch the health to be told of it, in seconds: one that takes
# nothing must not hold up the end.
_HEALTH_HEARD_S = 0.2

# How long calls that are cut off have for getting their status out, and how long gRPC then has for
# closing what is left, each in seconds.
_GOODBYE_S = 0.5

_logger = logging.getLogger(__name__)


class GrpcServer:
    """A `grpc.aio` server of some methods, with health and reflection for their services.

    A connection as old as `connection_age_max_s`, in seconds, accepts no new calls, and is closed
    `connection_grace_s` later with all that is left: a stream to a client that has stopped
    reading ends in no other way. `connections_max` of all clients may be open at one time, within a
    share of the descriptors; gRPC closes further ones as they come. `rules` are those that the
    handlers are registered with, and `observe` is told of connections that meet a bound, and of
    calls that gRPC refuses by itself: of all others the rules tell.

    Every method is registered by its name, those of health and reflection, too: gRPC keeps a queue
    for each such method, and one for all calls of methods that nobody knows. Whoever makes a
    thousand calls of one in one go keeps no call of another waiting. The queues, some forty, cost
    a call that does nothing else a twentieth.
    """

    def __init__(
        self,
        methods: Methods,
        service_names: Sequence[str],
        connection_age_max_s: float,
        connection_grace_s: float,
        rules: Rules,
        connections_max: int,
        observe: Observer[Refused | ConnectionHeld | ConnectionClosed | UnknownCalls] = ignore,
        beside: Beside = OPEN,
    ) -> None:
        self._rules = rules
        self._observe = observe
        connections_max = within_descriptors(connections_max, SHARE_OF_DESCRIPTORS)
        self._crowd = Crowd(connections_max)
        self._floods: Floods | None = None
        self._watch: asyncio.Task[None] | None = None
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", REQUEST_BYTES_MAX),
                ("grpc.http2.min_ping_interval_without_data_ms", PING_INTERVAL_MIN_MS),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.max_ping_strikes", PING_STRIKES_MAX),
                ("grpc.server.max_pending_requests", PENDING_CALLS_MAX),
                ("grpc.server.max_pending_requests_hard_limit", PENDING_CALLS_LIMIT),
                ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION_MAX),
                # Its default: streams count until they are forgotten.
                ("grpc.http.overload_protection", 1),
                ("grpc.max_metadata_size", METADATA_BYTES_MAX),
                ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
                ("grpc.max_allowed_incoming_connections", connections_max),
                ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
                ("grpc.max_connection_idle_ms", IDLE_MS),
                ("grpc.max_connection_age_ms", round(connection_age_max_s * 1_000)),
                ("grpc.max_connection_age_grace_ms", round(connection_grace_s * 1_000)),
                # Two servers on one port would take turns; the second one must fail instead.
                ("grpc.so_reuseport", 0),
            ]
        )
        self._health = HealthService(frozenset(["", *service_names]))
        self._connections: Connections | None = None
        self._place: SocketFilePlace | None = None
        self._tls: grpc.ServerCredentials | None = None
        for those in (methods, beside.methods(self._health, service_names, rules.identity)):
            for service, handlers in those.items():
                self._server.add_registered_method_handlers(service, dict(handlers))
        self._server.add_generic_rpc_handlers((UnknownMethods(rules.shell, observe),))

    async def start(
        self, address: Address, certificates: CurrentCredentials | None = None
    ) -> Address:
        """Listen and serve; returns the address, with the port that it has got.

        With `certificates` in TLS, else in clear. Raises OSError if the address cannot be had.
        """
        if certificates is not None:
            self._tls = server_credentials(certificates)
        bound: Bound
        try:
            if isinstance(address, TcpAddress):
                bound = port = self._bind_port(address)
                address = TcpAddress(address.host, port)
            else:
                bound = self._bind_file(address)
        except OSError as error:
            raise OSError(f"cannot listen for gRPC on {address}: {error.strerror}") from None
        await self._server.start()
        self._connections = Connections(bound, _LOOKS_BEFORE_CLOSING, in_clear=self._tls is None)
        self._floods = Floods(bound, self._rules.peers.explained, self._observe)
        self._rules.peers.on_flood = self._floods.flooded
        self._watch = asyncio.create_task(kept_running("the check of connections", self._look))
        return address

    def _bind_port(self, address: TcpAddress) -> int:
        # gRPC itself says why in many words, or not at all.
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        with socket.socket(family) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((address.host, address.port))
        return self._add_port(str(address))

    def _bind_file(self, address: SocketFile) -> str:
        self._place = SocketFilePlace(address.path)
        with self._place.hidden() as path:
            self._add_port(f"unix:{path}")
            return str(path)

    def _add_port(self, target: str) -> int:
        try:
            if self._tls is None:
                port: int = self._server.add_insecure_port(target)
            else:
                port = self._server.add_secure_port(target, self._tls)
        except RuntimeError as error:
            raise OSError(errno.EADDRNOTAVAIL, str(error)) from None
        if not port:
            raise OSError(errno.EADDRNOTAVAIL, "gRPC does not say why")
        return port

    def tell_health(self, serving: Mapping[str, bool]) -> None:
        """Tell health checks of which services to send calls here; of none until then."""
        self._health.tell(serving)

    async def _look(self) -> None:
        """Look after connections and their calls for ever."""
        assert self._floods is not None
        while True:
            await asyncio.sleep(LOOK_AT_MOST_EVERY_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S - LOOK_AT_MOST_EVERY_S):
                    await self._floods.sought()
            await self._floods.look()
            self._rules.silence.end_late()
            self._rules.peers.forget_idle()
            if self._rules.identity is not None:
                self._rules.identity.end_revoked()
            if self._rules.limits is not None:
                self._rules.limits.forget_idle()
            for peer in self._rules.peers.stalled():
                self._observe(_stalled(peer))
            if (crowded := self._crowd.look(self._floods.connections)) is not None:
                self._observe(crowded)

    async def drain(self, within_s: float) -> None:
        """Let calls in flight end, and each connection after its last one.

        New calls are refused, or soon will be, and health checks say NOT_SERVING: those who watch
        hear it before connections are told to go. Listening ends at once. What is in flight after
        `within_s` seconds is cut off.
        """
        if self._place is not None:
            self._place.remove()
        if self._connections is None:
            return
        self._connections.stop_listening()
        await self._health.heard(_HEALTH_HEARD_S)
        time, calls = asyncio.get_running_loop().time, self._rules.in_flight
        ends_at = time() + within_s
        waiting = True
        while True:
            unfinished = self._connections.end(calls.peers if waiting else frozenset())
            if not unfinished and not (waiting and calls):
                return
            await asyncio.sleep(_LOOK_EVERY_S)
            if waiting and calls and time() >= ends_at:
                waiting = False
                _logger.warning("the shutdown cuts off %d calls", len(calls))
                await calls.cut_off(_GOODBYE_S)

    async def stop(self) -> None:
        """Close what is left, with the calls on it."""
        if self._watch is not None:
            self._watch.cancel()
        await self._server.stop(_GOODBYE_S)


def _stalled(peer: str) -> Refused:
    streamed = STREAMED_PER_CONNECTION_MAX // 2**20
    text = f"its streams wait until it reads: it may leave {streamed} MiB of them unread"
    return Refused(Subject.GRPC_CONNECTION, "STREAMS_NOT_READ", peer, text)
