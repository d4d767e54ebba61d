"""The NATS configurations of `deploy/nats`, on free ports and in a test's folder."""

import re
from pathlib import Path

import pytest
import trustme

from tests.deploy.manifests import NATS
from tests.harness.nats import NatsCluster, NatsServer
from tests.harness.ports import free_ports

PASSWORD = "secret-of-the-gateway"


class Configured:
    """Servers with these configurations. `without` are lines that are left out of the rights."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, without: tuple[str, ...] = ()
    ) -> None:
        self.folder, self._monkeypatch = folder, monkeypatch
        self.without = without
        self.login = folder / "login"
        self.login.write_text(f"gateway:{PASSWORD}\n")
        monkeypatch.setenv("GATEWAY_PASSWORD", PASSWORD)
        monkeypatch.setenv("OPERATOR_PASSWORD", f"operators-{PASSWORD}")

    def single(self) -> NatsServer:
        (port,) = free_ports(1)
        server = NatsServer(self.folder / "nats", port)
        self._write(server, "single.conf", {"4222": port}, {"/var/lib/nats": server.store})
        return server

    def cluster(self) -> tuple[NatsCluster, list[int], Path]:
        """Return three servers, the ports of their monitoring, and the CA of their certificates."""
        ports = free_ports(9)
        clients, routes, monitors = ports[:3], ports[3:6], ports[6:]
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.folder / "ca.crt")
        servers = [NatsServer(self.folder / f"nats-{n}", clients[n], f"nats-{n}") for n in range(3)]
        for number, server in enumerate(servers):
            cert = authority.issue_cert(f"nats-{number}.nats", "127.0.0.1")
            (server.folder / "tls").mkdir()
            (server.folder / "tls/ca.crt").write_bytes(authority.cert_pem.bytes())
            (server.folder / "tls/tls.crt").write_bytes(cert.cert_chain_pems[0].bytes())
            (server.folder / "tls/tls.key").write_bytes(cert.private_key_pem.bytes())
            at = {"4222": clients[number], "6222": routes[number], "8222": monitors[number]}
            paths = {"/data": server.store, "/etc/nats-tls": server.folder / "tls"}
            self._write(server, "cluster.conf", at, paths, routes)
        return NatsCluster(servers), monitors, self.folder / "ca.crt"

    def start(self, *servers: NatsServer) -> None:
        for server in servers:
            self._monkeypatch.setenv("NATS_NAME", server.name)
            server.start()
        for server in servers:
            server.wait()

    def _write(
        self,
        server: NatsServer,
        name: str,
        ports: dict[str, int],
        paths: dict[str, Path],
        routes: list[int] | None = None,
    ) -> None:
        text = (NATS / name).read_text()
        for number, port in enumerate(routes or []):
            text = text.replace(f"nats://nats-{number}.nats:6222", f"nats://127.0.0.1:{port}")
        for plain, port in ports.items():
            text = re.sub(
                rf"(listen|http): (127\.0\.0\.1|0\.0\.0\.0):{plain}", rf"\1: 127.0.0.1:{port}", text
            )
        for path, other in paths.items():
            text = text.replace(path, str(other))
        (server.folder / "nats.conf").write_text(text)
        rights = (NATS / "users.conf").read_text()
        for line in self.without:
            assert f'"{line}"' in rights
            # A list without a line would allow everything.
            rights = rights.replace(f'"{line}"', '"nothing"')
        (server.folder / "users.conf").write_text(rights)


def rights() -> list[str]:
    """What the gateway may do, line by line."""
    return re.findall(r'"([^"]+)"', (NATS / "users.conf").read_text())


def violations(server: NatsServer) -> list[str]:
    """What somebody has tried on a server and may not."""
    return [it for it in server.output.splitlines() if "Violation" in it]
