"""Ports that are free, and one with clients on it: both ends of each connection are the test's."""

import socket
from contextlib import ExitStack, closing

from gateway.address import TcpAddress
from gateway.server.http.server import HttpServer


class Port:
    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.number: int = self.listener.getsockname()[1]
        self._open: list[socket.socket] = [self.listener]

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """Connect a client; returns its end and ours."""
        client = socket.create_connection(("127.0.0.1", self.number), timeout=20)
        ours, _ = self.listener.accept()
        self._open += [client, ours]
        return client, ours

    def close(self) -> None:
        for one in self._open:
            one.close()


def free_ports(count: int) -> list[int]:
    """Return the numbers of ports that nobody listens on, each another one."""
    with ExitStack() as stack:
        held = [stack.enter_context(closing(socket.socket())) for _ in range(count)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]


def free_port() -> str:
    """Return the number of a port that nobody listens on, for a program that is told it."""
    (port,) = free_ports(1)
    return str(port)


async def on_any_port(server: HttpServer) -> int:
    """Have a server listen on a port of its own; returns it."""
    bound = await server.start(TcpAddress("127.0.0.1", 0))
    assert isinstance(bound, TcpAddress)
    return bound.port


def peer(client: socket.socket) -> str:
    """A client as gRPC names it."""
    host, number = client.getsockname()
    return f"ipv4:{host}:{number}"
