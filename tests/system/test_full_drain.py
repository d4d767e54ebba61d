"""A shutdown with 200 calls and 200 streams open: no call is lost, no event missed or doubled."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc

from tests.harness.certificates import Authority
from tests.harness.full_drain import nobody_loses_anything
from tests.harness.process import GatewayProcess

_CONNECTIONS = 8
# Else channels to one address share a connection.
_APART = [("grpc.use_local_subchannel_pool", 1)]


def test_nobody_loses_anything_in_clear(tmp_path: Path) -> None:
    @contextmanager
    def reach(gateway: GatewayProcess) -> Iterator[Sequence[grpc.Channel]]:
        address = gateway.grpc_address
        yield [grpc.insecure_channel(address, _APART) for _ in range(_CONNECTIONS)]

    nobody_loses_anything(tmp_path, reach, [{}, {}])


def test_nobody_loses_anything_in_tls(tmp_path: Path) -> None:
    authority = Authority()
    cert, key = authority.server().write(tmp_path, "server")
    settings = {"GATEWAY_GRPC_TLS_CERT": str(cert), "GATEWAY_GRPC_TLS_KEY": str(key)}
    trust = grpc.ssl_channel_credentials(authority.pem)

    @contextmanager
    def reach(gateway: GatewayProcess) -> Iterator[Sequence[grpc.Channel]]:
        address = gateway.grpc_address
        yield [grpc.secure_channel(address, trust, _APART) for _ in range(_CONNECTIONS)]

    nobody_loses_anything(tmp_path, reach, [settings, settings])
