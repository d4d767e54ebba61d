"""What each library calls the ends that it makes itself, as examples/README.md says."""

import itertools
import re
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.harness.process import ROOT
from tests.interop.commands import Ended, speak
from tests.interop.programs import Built
from tests.interop.scripted import Script, ScriptedGateway, Silence

pytestmark = pytest.mark.slow

_LOOK_EVERY_S = 0.01

README = ROOT / "examples" / "README.md"

# The language, and what its library calls a broken connection and its own deadline.
ROWS = re.findall(r"^\| (\w+) \| `([A-Z_]+)` \| `([A-Z_]+)` \|", README.read_text(), re.MULTILINE)
BROKEN = {language: status for language, status, _ in ROWS}
DEADLINE = {language: status for language, _, status in ROWS}


class Breaking:
    """Passes one client's connections on to a gateway, and breaks each once a call is on it."""

    def __init__(self, script: Script, address: str) -> None:
        host, port = address.split(":")
        self._script = script
        self._gateway = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for number in itertools.count(1):
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            gateway = socket.create_connection(self._gateway)
            for pair in ((client, gateway), (gateway, client)):
                threading.Thread(target=_pump, args=pair, daemon=True).start()
            # Some libraries connect again, and never call on that connection.
            while len(self._script.sent) < number and not self._closed.wait(_LOOK_EVERY_S):
                pass
            _break(client, gateway)

    @property
    def is_serving(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        """Break what is open; return when nothing is left of it."""
        self._closed.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # or `accept` goes on
        self._listener.close()
        self._thread.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)


def _break(*ends: socket.socket) -> None:
    for it in ends:
        with suppress(OSError):
            it.shutdown(socket.SHUT_RDWR)
        it.close()


def statuses(built: dict[str, Built], run: Callable[[Built, Script, str], Ended]) -> dict[str, str]:
    """Run all at once, each with a gateway of its own; returns how each call ended."""

    def ended(program: Built) -> Ended:
        script = Script(commands=[Silence()])
        with ScriptedGateway(script) as gateway:
            return run(program, script, gateway.address)

    with ThreadPoolExecutor(len(built)) as pool:
        found = dict(zip(built, pool.map(ended, built.values()), strict=True))
    assert all(it.code == 1 for it in found.values()), found
    return {name: it.status for name, it in found.items()}


def test_of_a_deadline(built: dict[str, Built]) -> None:
    def run(program: Built, _: Script, address: str) -> Ended:
        return speak(program, address, "c1", "hello")

    assert statuses(built, run) == {it: DEADLINE[it] for it in built}


def test_of_a_connection_that_breaks_during_a_call(built: dict[str, Built]) -> None:
    def run(program: Built, script: Script, address: str) -> Ended:
        breaking = Breaking(script, address)
        try:
            return speak(program, breaking.address, "c1", "hello")
        finally:
            breaking.close()

    assert statuses(built, run) == {it: BROKEN[it] for it in built}


def test_a_client_that_connects_and_never_calls_leaves_no_thread_behind() -> None:
    """Some libraries do, after a break: what waited for their call failed in a later test."""
    script = Script(commands=[Silence()])
    with ScriptedGateway(script) as gateway:
        breaking = Breaking(script, gateway.address)
        host, port = breaking.address.split(":")
        with socket.create_connection((host, int(port)), timeout=20) as client:
            assert client.recv(1), "the gateway has greeted it"

            breaking.close()

    assert not breaking.is_serving
