"""The order in which accepted connections are served, and what becomes of those that are not."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import uvloop

from gateway.server.http.accepting import ACCEPTED_A_TURN, SERVED_A_TURN, WAITING_SHARE, FairServing
from gateway.server.http.slots import ConnectionSlots, Slots
from gateway.tls.current import CurrentCredentials
from tests.harness.certificates import Authority
from tests.http.serving import read_to_the_end
from tests.tls.stage import Folder

# More turns than the way of a connection to its protocol takes.
TURNS = 20

NewLoop = Callable[[], asyncio.AbstractEventLoop]

new_loops = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Served(asyncio.BufferedProtocol):
    """Holds its slot as long as its connection."""

    is_busy = False

    def __init__(self, slots: Slots, served: "list[Served]") -> None:
        self._slots = slots
        self._served = served
        self._transport: asyncio.Transport | None = None
        self.address, self.port = "", 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self.address, self.port = transport.get_extra_info("peername")
        assert self._slots.enter(self)
        self._served.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._slots.leave(self)

    def give_way(self) -> None:
        assert self._transport is not None
        self._transport.write(b"")  # which a transport that is closed does not take
        self._transport.abort()

    def get_buffer(self, sizehint: int) -> bytearray:
        return bytearray(1)

    def buffer_updated(self, nbytes: int) -> None:
        raise AssertionError("nothing is sent")


class Stage:
    """Connections that are accepted, by the test, and served in turn."""

    def __init__(self, slots: int, certificates: CurrentCredentials | None = None) -> None:
        self.slots = ConnectionSlots(slots)
        self.refused: list[tuple[str, str]] = []
        self.served: list[Served] = []
        self.fair = FairServing(
            self.slots,
            lambda slots: Served(slots, self.served),
            lambda reason, peer: self.refused.append((reason, peer)),
            certificates,
        )
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)

    @contextmanager
    def client(self, address: str = "a") -> Iterator[socket.socket]:
        """Admit a connection, as if from an address."""
        with socket.create_connection(self.listener.getsockname()) as client:
            client.settimeout(20)
            connection, _ = self.listener.accept()
            self.fair.admit(connection, (address, 0))
            yield client


def staged(
    new_loop: NewLoop,
    play: Callable[[Stage], Awaitable[None]],
    slots: int = 100,
    certificates: CurrentCredentials | None = None,
) -> None:
    async def run() -> None:
        stage = Stage(slots, certificates)
        with stage.listener:
            await play(stage)
            await stage.fair.close()
            await turns(TURNS)  # for the ends of the clients to be seen

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


@new_loops
def test_addresses_take_turns(new_loop: NewLoop) -> None:
    async def play(stage: Stage) -> None:
        with ExitStack() as stack:
            clients = {
                stack.enter_context(stage.client(address)).getsockname()[1]: address
                for address in "aaaaabbc" + "d" * SERVED_A_TURN
            }
            await turns(TURNS)
            order = [clients[it.port] for it in stage.served]
        assert "".join(order[:10]) == "abcdabdada"

    staged(new_loop, play)


@new_loops
def test_who_waits_gives_way_as_others_do_and_is_told_so(new_loop: NewLoop) -> None:
    async def play(stage: Stage) -> None:
        with stage.client() as first, stage.client(), stage.client("b"):
            assert stage.refused == [("TOO_MANY_CONNECTIONS", "a")]
            assert read_to_the_end(first).startswith(b"HTTP/1.1 503 ")
            await turns(TURNS)
            assert len(stage.served) == stage.slots.count == 2

    staged(new_loop, play, slots=2)


@new_loops
def test_what_waits_leaves_slots_for_what_is_served_until_all_are_taken(new_loop: NewLoop) -> None:
    slots = 100

    async def play(stage: Stage) -> None:
        with ExitStack() as stack:
            address = stage.listener.getsockname()
            for _ in range(slots):
                stack.enter_context(socket.create_connection(address))
            for _ in range(3):
                stage.fair.accept_waiting(stage.listener)
            assert stage.slots.count == stage.slots.waiting == WAITING_SHARE * slots
            for _ in range(slots - stage.slots.count):
                stack.enter_context(stage.client())
            for _ in range(slots // 2):
                stack.enter_context(socket.create_connection(address))
            stage.fair.accept_waiting(stage.listener)
            assert stage.slots.count == slots
            assert len(stage.refused) == ACCEPTED_A_TURN

    staged(new_loop, play, slots)


@new_loops
@pytest.mark.parametrize("later", range(6))
def test_no_slot_is_lost_whenever_another_comes(new_loop: NewLoop, later: int) -> None:
    async def play(stage: Stage) -> None:
        with stage.client("a"):
            await turns(later)
            with stage.client("b"):
                await turns(TURNS)
                assert len(stage.refused) + len(stage.served) >= 2
                assert stage.slots.count == 1
        await turns(TURNS)
        assert stage.slots.count == stage.slots.waiting == 0
        # And whoever comes then has it.
        before = len(stage.served)
        with stage.client("c"):
            await turns(TURNS)
            assert len(stage.served) == before + 1

    staged(new_loop, play, slots=1)


@new_loops
def test_a_client_that_has_left_before_its_turn_holds_no_slot(new_loop: NewLoop) -> None:
    async def play(stage: Stage) -> None:
        with stage.client():
            pass
        await turns(TURNS)
        assert (stage.slots.count, stage.refused) == (0, [])

    staged(new_loop, play)


@new_loops
def test_the_end_serves_what_waits_and_takes_no_more(new_loop: NewLoop) -> None:
    async def play(stage: Stage) -> None:
        with ExitStack() as stack:
            for _ in range(3 * SERVED_A_TURN):
                stack.enter_context(stage.client())
            await stage.fair.close()
            assert len(stage.served) == 3 * SERVED_A_TURN
            with socket.create_connection(stage.listener.getsockname()):
                stage.fair.accept_waiting(stage.listener)
                await turns(TURNS)
                assert len(stage.served) == 3 * SERVED_A_TURN

    staged(new_loop, play)


@new_loops
def test_a_handshake_that_has_begun_waits_no_more(new_loop: NewLoop, tmp_path: Path) -> None:
    """It gives way before one of its address that nobody has read from yet."""

    async def play(stage: Stage) -> None:
        with stage.client() as silent:
            await turns(TURNS)
            assert (stage.slots.count, stage.slots.waiting) == (1, 0)
            for _ in range(2):
                with stage.client():
                    assert stage.slots.waiting == 1
                    await turns(TURNS)
            assert read_to_the_end(silent) == b""

    files = Folder(tmp_path, Authority().server()).files
    staged(new_loop, play, slots=2, certificates=CurrentCredentials(files))


@new_loops
@pytest.mark.parametrize("begun", [False, True])
def test_the_end_gives_up_handshakes(new_loop: NewLoop, begun: bool, tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        with ExitStack() as stack:
            clients = [stack.enter_context(stage.client()) for _ in range(2 * SERVED_A_TURN)]
            await turns(TURNS if begun else 1)
            await stage.fair.close()
            assert (stage.slots.count, stage.served, stage.refused) == (0, [], [])
            await turns(TURNS)
            assert [read_to_the_end(it) for it in clients] == [b""] * len(clients)

    files = Folder(tmp_path, Authority().server()).files
    staged(new_loop, play, certificates=CurrentCredentials(files))
