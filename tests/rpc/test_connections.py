"""How the connections of a port are ended, seen from their clients. Plain sockets, no gRPC."""

import os
import socket
import struct
import tempfile
from collections.abc import Iterator

import pytest

from gateway.server.grpc.connections import GOAWAY, Connections
from tests.harness import ports
from tests.harness.needs import on_linux
from tests.harness.ports import peer


class Port(ports.Port):
    """A port, and how its connections are ended."""

    def __init__(self, patience: int = 0) -> None:
        super().__init__()
        self.connections = Connections(self.number, patience)


@pytest.fixture
def port() -> Iterator[Port]:
    port = Port()
    yield port
    port.close()


def has_more(client: socket.socket) -> bool:
    """Whether anything has come, be it the end. What loopback has taken is there at once."""
    client.setblocking(False)
    try:
        client.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    finally:
        client.settimeout(20)
    return True


def test_a_client_is_told_to_go_and_then_gets_what_was_written_and_the_end(port: Port) -> None:
    client, ours = port.connect()

    assert port.connections.end()
    ours.sendall(b"response")
    assert client.recv(100) == GOAWAY + b"response"
    assert not has_more(client)

    assert not port.connections.end()
    assert client.recv(100) == b""


def test_a_client_that_goes_by_itself_is_waited_for_and_one_that_stays_is_closed() -> None:
    port = Port(patience=2)
    goes, ours = port.connect()
    stays, _ = port.connect()
    assert port.connections.end()
    assert stays.recv(100) == GOAWAY
    goes.close()
    ours.close()  # as gRPC does then

    for _ in range(2):
        assert port.connections.end()
        assert not has_more(stays)
    assert not port.connections.end()

    assert stays.recv(100) == b""
    port.close()


def test_after_the_end_nothing_more_can_be_written(port: Port) -> None:
    _, ours = port.connect()
    while port.connections.end():
        pass

    with pytest.raises(BrokenPipeError):
        ours.send(b"what gRPC would write to end a call")


def test_who_is_spared_notices_nothing_until_it_is_not(port: Port) -> None:
    spared, _ = port.connect()
    other, _ = port.connect()

    for _ in range(3):
        assert port.connections.end({peer(spared)})

    assert (has_more(spared), has_more(other)) == (False, True)
    assert port.connections.end()
    assert spared.recv(100) == GOAWAY
    assert not port.connections.end()


def test_nobody_can_connect_any_more_and_who_is_connected_stays(port: Port) -> None:
    client, ours = port.connect()

    port.connections.stop_listening()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port.number), timeout=20)
    ours.sendall(b"x")
    assert client.recv(100) == b"x"


def test_who_waits_to_be_accepted_is_turned_away(port: Port) -> None:
    waiting = socket.create_connection(("127.0.0.1", port.number), timeout=20)

    port.connections.stop_listening()

    with waiting, pytest.raises(ConnectionResetError):
        waiting.recv(1)


def test_the_descriptor_of_the_listener_stays_its_owners(port: Port) -> None:
    port.connections.stop_listening()

    assert not port.listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    os.fstat(port.listener.fileno())


def test_other_ports_of_the_process_go_on(port: Port) -> None:
    other = Port()
    client, _ = other.connect()

    port.connections.stop_listening()
    while port.connections.end():
        pass

    assert not has_more(client)
    other.connect()
    other.close()


def test_a_descriptor_that_stands_for_another_connection_by_now_is_told_first(port: Port) -> None:
    _, ours = port.connect()
    port.connections.end()
    number = ours.fileno()
    later, accepted = port.connect()

    # gRPC has closed the first connection, and its number has been given to another one.
    os.dup2(accepted.fileno(), number)
    accepted.close()

    assert port.connections.end()
    assert later.recv(100) == GOAWAY


def test_a_client_that_has_gone_does_no_harm(port: Port) -> None:
    gone, _ = port.connect()
    client, _ = port.connect()
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset
    gone.close()

    port.connections.end()

    assert client.recv(100) == GOAWAY


class TlsPort(ports.Port):
    """A port on which nobody but gRPC can speak to clients."""

    def __init__(self, patience: int) -> None:
        super().__init__()
        self.connections = Connections(self.number, patience, in_clear=False)


@on_linux
def test_in_tls_nothing_is_written_and_a_quiet_connection_is_closed() -> None:
    port = TlsPort(patience=3)
    client, _ = port.connect()

    for _ in range(3):
        assert port.connections.end()
        assert not has_more(client)
    assert not port.connections.end()

    assert client.recv(100) == b""
    port.close()


@on_linux
def test_in_tls_a_connection_on_which_calls_come_is_closed_when_they_stop_or_at_the_last() -> None:
    port = TlsPort(patience=3)
    pausing, _ = port.connect()
    storming, _ = port.connect()

    for step in range(6):
        storming.send(b"call")
        if step < 2:
            pausing.send(b"call")
        assert port.connections.end()
        assert not has_more(storming)
        assert has_more(pausing) == (step >= 4)
    storming.send(b"call")
    assert not port.connections.end()

    assert storming.recv(100) == b""
    port.close()


@on_linux
def test_in_tls_who_is_spared_is_waited_for() -> None:
    port = TlsPort(patience=0)
    spared, _ = port.connect()

    for _ in range(3):
        assert port.connections.end({peer(spared)})
        assert not has_more(spared)
    port.connections.end()
    port.connections.end()

    assert spared.recv(100) == b""
    port.close()


def test_all_on_a_socket_file_are_spared_while_one_has_a_call_and_are_told_then() -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = f"{folder}/s"
        listener.bind(path)
        listener.listen()
        connections = Connections(path, 0)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            ours, _ = listener.accept()
            with ours:
                assert connections.end({"unix:"})
                assert not has_more(client)
                assert connections.end()
                assert client.recv(100) == GOAWAY
                connections.stop_listening()
                with socket.socket(socket.AF_UNIX) as late, pytest.raises(ConnectionRefusedError):
                    late.connect(path)
