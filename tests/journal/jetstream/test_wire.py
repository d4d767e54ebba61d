"""The wire: what comes on a connection becomes messages, however it is cut into pieces."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.errors import ProtocolError

from gateway.journal.jetstream.messages import Message
from gateway.journal.jetstream.wire import Wire, packed

_OWN, _OTHER = 1, 2


class Told(Client):
    """A client that is not connected, and is told what the library would do."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[Any, ...]] = []
        self.errors: list[Exception] = []
        self._error_cb = self._told

    async def subscribe(self, subject: str, *args: Any, **kwargs: Any) -> Any:
        class Subscription:
            _id = _OWN

        return Subscription

    async def _process_msg(self, *message: Any) -> None:
        self.told.append(message)

    async def _process_ping(self) -> None:
        self.told.append(("ping",))

    async def _process_info(self, info: Any, initial_connection: bool = False) -> None:
        self.told.append(("info", info))

    async def _told(self, error: Exception) -> None:
        self.errors.append(error)


def _read(pieces: Sequence[bytes]) -> tuple[Told, list[Message]]:
    async def run() -> tuple[Told, list[Message]]:
        client, come = Told(), list[Message]()
        wire = Wire.of(client)
        await wire.subscribe("inbox", come.append)
        for piece in pieces:
            await wire.parse(piece)
        return client, come

    return asyncio.run(run())


def _pieces(whole: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = [0, *sorted(it % (len(whole) + 1) for it in cuts), len(whole)]
    return [whole[a:b] for a, b in pairwise(places)]


_data = st.binary(max_size=200) | st.sampled_from(
    [b"", b"\r\n", b"MSG a 1 3\r\nabc\r\n", b"PING\r\n", b"\r\nHMSG"]
)


@given(
    st.lists(st.tuples(_data, st.booleans(), st.sampled_from([_OWN, _OTHER])), max_size=12),
    st.lists(st.integers(0, 4_000), max_size=12),
)
def test_messages_come_whole_and_in_order_however_they_are_cut(
    sent: list[tuple[bytes, bool, int]], cuts: list[int]
) -> None:
    head = b"NATS/1.0\r\nA: b\r\n\r\n"
    whole = b""
    for number, (data, with_headers, subscription) in enumerate(sent):
        size = f"{len(head)} {len(head) + len(data)}" if with_headers else f"{len(data)}"
        line = f"{'HMSG' if with_headers else 'MSG'} s.{number} {subscription} r.{number} {size}"
        whole += line.encode() + b"\r\n" + (head if with_headers else b"") + data + b"\r\n"
        whole += b"PING\r\n"

    client, come = _read(_pieces(whole, cuts))

    own = [(n, data) for n, (data, _, to) in enumerate(sent) if to == _OWN]
    assert come == [Message(data, {}, f"r.{n}", f"s.{n}") for n, data in own]
    others = [(n, data, has) for n, (data, has, to) in enumerate(sent) if to == _OTHER]
    assert [it for it in client.told if it != ("ping",)] == [
        (_OTHER, b"s.%d" % n, b"r.%d" % n, data, head if has else None) for n, data, has in others
    ]
    assert client.told.count(("ping",)) == len(sent)


def test_a_status_is_read_with_its_text_and_its_headers() -> None:
    head = b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 7\r\n\r\n"
    whole = b"HMSG s 1 %d %d\r\n%s\r\n" % (len(head), len(head), head)

    _, come = _read([whole])

    headers = {
        "Status": "408",
        "Description": "Request Timeout",
        "Nats-Pending-Messages": "7",
    }
    assert come == [Message(b"", headers, "", "s")]


def test_what_is_no_message_is_the_librarys() -> None:
    client, _ = _read([b'INFO {"max_payload": 7}\r', b"\nPING\r\n"])

    assert client.told == [("info", {"max_payload": 7}), ("ping",)]


@pytest.mark.parametrize("line", [b"MSG s 1 x\r\n", b"MSG s\r\n", b"HMSG s 1 4\r\n", b"WHAT\r\n"])
def test_what_cannot_be_read_is_an_error(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        _read([line])


def test_a_receiver_that_fails_keeps_no_message_from_the_next() -> None:
    async def run() -> tuple[list[Exception], list[bytes]]:
        client, come = Told(), list[bytes]()

        def receive(message: Message) -> None:
            if message.data == b"bad":
                raise ValueError(message.data)
            come.append(message.data)

        wire = Wire.of(client)
        await wire.subscribe("inbox", receive)
        await wire.parse(b"MSG s 1 3\r\nbad\r\nMSG s 1 2\r\nok\r\n")
        return client.errors, come

    errors, come = asyncio.run(run())

    assert [str(it) for it in errors] == ["b'bad'"]
    assert come == [b"ok"]


def test_what_is_left_of_one_connection_is_not_of_the_next() -> None:
    async def run() -> list[Message]:
        client, come = Told(), list[Message]()
        wire = Wire.of(client)
        await wire.subscribe("inbox", come.append)
        await wire.parse(b"MSG s 1 100\r\nabc")
        wire.reset()
        await wire.parse(b"MSG s 1 2\r\nok\r\n")
        return come

    assert [it.data for it in asyncio.run(run())] == [b"ok"]


def test_a_message_is_packed_as_servers_read_it() -> None:
    sent = packed("a.b", b"data", {"Nats-Batch-Id": "x", "Nats-Batch-Sequence": "1"})

    head = b"NATS/1.0\r\nNats-Batch-Id: x\r\nNats-Batch-Sequence: 1\r\n\r\n"
    assert sent == b"HPUB a.b %d %d\r\n%sdata\r\n" % (len(head), len(head) + 4, head)
