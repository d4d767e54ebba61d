"""An Envoy that runs, as its clients and its operator see it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from tests.harness.pages import http_get

ENVOY = Path(sys.executable).parent / "envoy"


def on_ports(config: Path, ports: dict[str, str]) -> str:
    """The text of a configuration, with its ports replaced, each of which must be in it."""
    text = config.read_text()
    assert set(re.findall(r"port_value: (\d+)", text)) == set(ports)
    return re.sub(r"port_value: (\d+)", lambda it: f"port_value: {ports[it[1]]}", text)


@contextmanager
def running(folder: Path, text: str) -> Iterator[subprocess.Popen[bytes]]:
    """An Envoy with this configuration, whose files are in the folder."""
    (folder / "envoy.yaml").write_text(text)
    process = subprocess.Popen(
        [
            ENVOY,
            *("--config-path", "envoy.yaml", "--log-path", "envoy.log", "--concurrency", "1"),
            # Several on one machine would otherwise share memory.
            "--disable-hot-restart",
        ],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(20)


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
