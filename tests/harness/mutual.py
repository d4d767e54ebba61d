"""A gateway in mutual TLS whose callers have credentials of every kind."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc

from tests.harness.callers import put, with_token
from tests.harness.certificates import Authority, Issued
from tests.harness.gateway import RunningGateway
from tests.harness.issuer import Key, issuer_entry, jwks
from tests.harness.loop import LoopThread

SPIFFE = "spiffe://example.org/sa/"
# One that forwards names, and one that forwards certificates.
PROXIES = '[[proxies]]\ndns = "envoy.svc"\nforwards = "names"\n[[proxies]]\ndns = "edge.svc"\n'

Metadata = tuple[tuple[str, str], ...]


def forwarded(text: str) -> Metadata:
    """What a proxy says of its client, or somebody who is none."""
    return (("x-forwarded-client-cert", text),)


def forwarded_whole(cert: Issued) -> Metadata:
    """What a proxy says that forwards the certificate itself."""
    return forwarded(f'Hash=x;Cert="{quote(cert.cert, safe="")}";URI=of-nobody')


@dataclass(frozen=True)
class Shown:
    """What a caller shows: the certificate of its connection, and metadata."""

    cert: Issued
    metadata: Metadata = ()


class Mutual:
    """`start` starts the gateway, which asks for certificates of `authority`.

    The keys of its issuer are those of `keys`, from a file.
    """

    def __init__(self, loop: LoopThread, start: Any, folder: Path, *keys: Key, **env: str) -> None:
        self._loop = loop
        self._folder = folder
        self._stack = ExitStack()
        self._channels: dict[bytes, grpc.Channel] = {}
        self.authority = Authority()
        self.publish(*keys)
        cert, key = self.authority.server().write(folder, "server")
        self.gateway: RunningGateway = start(
            GATEWAY_CALLERS=str(put(folder / "callers.toml", with_token("first", "reader", "x"))),
            GATEWAY_GRPC_TLS_CERT=str(cert),
            GATEWAY_GRPC_TLS_KEY=str(key),
            GATEWAY_GRPC_TLS_CLIENT_CA=str(self.authority.write(folder)),
            **env,
        )

    @property
    def issuer(self) -> str:
        """The issuer as it stands in the callers file."""
        return issuer_entry(str(self._folder / "jwks.json"))

    def publish(self, *keys: Key) -> None:
        """Have the issuer publish these keys."""
        (self._folder / "jwks.json").write_bytes(jwks(*keys))

    def put(self, *entries: str) -> None:
        """Write the callers file, and have it looked at, as happens every second anyway."""
        put(self._folder / "callers.toml", *entries)
        callers = self.gateway.app.callers
        assert callers is not None
        for _ in range(2):
            self._loop.run(callers.look())

    def trust(self, *authorities: Authority) -> None:
        """Accept the clients of these authorities, from the next look on."""
        (self._folder / "ca.pem").write_bytes(b"".join(it.pem for it in authorities))
        current = self.gateway.app.certificates.of("grpc")
        assert current is not None
        for _ in range(2):
            self._loop.run(current.look())

    def connect(self, shown: Shown) -> grpc.Channel:
        """A connection of its own."""
        channel = grpc.secure_channel(
            str(self.gateway.app.grpc_address),
            grpc.ssl_channel_credentials(self.authority.pem, shown.cert.key, shown.cert.cert),
            [("grpc.use_local_subchannel_pool", 1)],
        )
        return self._stack.enter_context(channel)

    def channel(self, shown: Shown) -> grpc.Channel:
        """The connection of a certificate."""
        if shown.cert.cert not in self._channels:
            self._channels[shown.cert.cert] = self.connect(shown)
        return self._channels[shown.cert.cert]

    def end_revoked(self) -> None:
        """Have open streams looked at, as happens twice a second anyway."""
        identity = self.gateway.app.rules.identity
        assert identity is not None
        self._loop.call(identity.end_revoked)

    def close(self) -> None:
        self._stack.close()
