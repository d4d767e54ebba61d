"""From the internet: whatever can be sent to the port of the webhooks."""

import selectors
import socket
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import cycle

from tests.harness.webhooks import Signer
from tests.harness.wire import parsed, request
from tests.hostile.attacks.target import Attack, Target

MIB = 2**20

HEAD = b"POST /webhooks/telnyx HTTP/1.1\r\nhost: x\r\n"

# How long an attacker waits for a response before it goes on, in seconds.
_PATIENCE_S = 2.0


def connect(target: Target) -> socket.socket:
    host, _, port = target.http.rpartition(":")
    return socket.create_connection(
        (host, int(port)), _PATIENCE_S, source_address=(target.source, 0)
    )


def well_formed(body_bytes: int) -> bytes:
    """Return the head of a webhook whose signature is of another body."""
    signed = Signer(seed=66).telnyx(b"")
    lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in signed.items())
    return HEAD + lines + b"content-length: %d\r\n\r\n" % body_bytes


def signed_chunks() -> bytes:
    """Return the head of a webhook in chunks that may be refused for its body only."""
    return well_formed(0).replace(b"content-length: 0", b"transfer-encoding: chunked")


def pour(target: Target, head: bytes, piece: bytes, most: int = 150 * MIB) -> str:
    """Send what does not end, again and again; `head` may be made anew with `@signed`."""
    seen: Counter[int | str] = Counter()
    sent = 0
    while target.goes_on:
        with suppress(OSError), connect(target) as connection:
            seen["connections"] += 1
            try:
                connection.sendall(head.replace(b"@signed\r\n\r\n", signed_chunks()))
                for _ in range(most // len(piece)):
                    connection.sendall(piece)
                    sent += len(piece)
                    if not target.goes_on:
                        break
            finally:
                seen.update(_statuses(connection))
    return f"{sent} bytes, {dict(seen)}"


def silent(target: Target, count: int, head: bytes = b"", source: str = "") -> str:
    """Hold connections on which nothing comes any more, and replace those that are closed."""
    held: list[socket.socket] = []
    opened = 0
    with suppress(OSError):
        while target.goes_on and opened < count:
            held.append(connect(target))
            opened += 1
            with suppress(OSError):
                held[-1].sendall(head)
    while target.goes_on:
        with suppress(OSError), connect(target) as one:
            one.settimeout(0.5)
            one.sendall(head)
            one.recv(1)
    for one in held:
        one.close()
    return f"{opened} connections"


def bodies_held_back(target: Target, count: int, *, signed: bool) -> str:
    """Send nearly the whole of large bodies, and keep the connections."""
    head = well_formed(511_000) if signed else HEAD + b"content-length: 511000\r\n\r\n"
    return _each_once(target, count, [head + b"x" * 510_000])


def bad_signatures(target: Target, connections: int = 100) -> str:
    """Send large bodies with as many signatures as are looked at, all wrong."""
    body = b"x" * 500_000
    signer = Signer(seed=66)
    lines = signer.standard(body)
    one = signer.signature(b"something else")
    lines["webhook-signature"] = " ".join(f"v1a,{one}" for _ in range(8))
    return _each_again(target, connections, request(body, lines.items()))


def pipelined(target: Target, what: bytes, connections: int = 4) -> str:
    """Send requests without waiting for a response, and read none."""
    return _each_once(target, connections, [what * 1_000] * 15, again=True)


def posts(target: Target, what: bytes, connections: int = 8) -> str:
    """Post at full speed."""
    return _each_again(target, connections, what)


def unsigned() -> bytes:
    return request(b"{}", [])


def unread(target: Target, path: str, connections: int = 50) -> str:
    """Ask for a page, and read nothing of the responses."""
    ask = f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
    return _each_once(target, connections, [ask * 8])


def at_admin(target: Target, attack: Attack) -> str:
    """Attack the admin address in the same way as that of the webhooks."""
    return attack(replace(target, http=target.admin))


def _each_once(target: Target, count: int, data: Sequence[bytes], *, again: bool = False) -> str:
    """Send so much on each connection, as far as it is taken; then hold them.

    With `again` a connection that ends is replaced.
    """
    chooser = selectors.DefaultSelector()
    seen: Counter[str] = Counter()
    whole = b"".join(data)
    held = [it for _ in range(count) if (it := _begun(target, chooser, seen)) is not None]
    while target.goes_on:
        for key, mask in chooser.select(0.1):
            one = key.fileobj
            assert isinstance(one, socket.socket)
            try:
                if mask & selectors.EVENT_READ:
                    if not one.recv(65_536):
                        raise ConnectionResetError
                    seen["responses"] += 1
                if mask & selectors.EVENT_WRITE:
                    at = int(key.data)
                    at += one.send(whole[at : at + 262_144])
                    wants = selectors.EVENT_READ if again or at == len(whole) else mask
                    chooser.modify(one, wants | (at < len(whole)) * selectors.EVENT_WRITE, at)
            except OSError:
                chooser.unregister(one)
                one.close()
                seen["ended"] += 1
                if again and (new := _begun(target, chooser, seen)) is not None:
                    held.append(new)
        if not chooser.get_map():
            break
    for one in held:
        one.close()
    chooser.close()
    return str(dict(seen))


def _begun(
    target: Target, chooser: selectors.BaseSelector, seen: Counter[str]
) -> socket.socket | None:
    try:
        one = connect(target)
    except OSError:
        seen["refused"] += 1
        return None
    one.setblocking(False)
    chooser.register(one, selectors.EVENT_READ | selectors.EVENT_WRITE, 0)
    seen["connections"] += 1
    return one


def _each_again(target: Target, connections: int, what: bytes) -> str:
    """Send a request on each connection, wait for the response, and begin anew."""
    seen: Counter[int | str] = Counter()
    lock = threading.Lock()

    def one() -> None:
        while target.goes_on:
            with suppress(OSError), connect(target) as connection:
                while target.goes_on:
                    connection.sendall(what)
                    found = _statuses(connection)
                    with lock:
                        seen.update(found)
                    if not found:
                        break

    threads = [threading.Thread(target=one) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return str(dict(seen))


def _statuses(connection: socket.socket) -> list[int]:
    """Return the statuses of what has come, waiting for the first."""
    received = b""
    with suppress(OSError, ValueError, IndexError):
        while data := connection.recv(65_536):
            received += data
            found, _ = parsed(received)
            if found:
                return [it.status for it in found]
    return []


def upgrades(target: Target) -> str:
    """Ask to speak something else, in all ways, with bodies after it."""
    offers = cycle([b"h2c", b"websocket", b"TLS/1.0", b"x" * 20_000])
    seen: Counter[int | str] = Counter()
    while target.goes_on:
        with suppress(OSError), connect(target) as connection:
            offer = next(offers)
            connection.sendall(
                HEAD + b"connection: upgrade\r\nupgrade: %b\r\ncontent-length: 9\r\n\r\n" % offer
            )
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\n")
            seen.update(_statuses(connection))
    return str(dict(seen))
