"""Many gRPC calls in one go on few connections: what no client library sends, but a thousand do."""

from concurrent.futures import ThreadPoolExecutor

from tests.harness.http2 import RawClient, message, rpc


def open_at_once(
    address: str, path: str, body: bytes, calls: int, connections: int
) -> tuple[int, int]:
    """Send so many calls in one go; returns how many got a response, and how many ended."""
    share = calls // connections
    numbers = range(1, 2 * share, 2)
    burst = b"".join(rpc(number, path) + message(number, body) for number in numbers)

    def call(_: int) -> tuple[int, int]:
        with RawClient(address) as client:
            client.send(burst)
            client.wait_for_streams(share)
            return len(client.answered), len(client.over)

    with ThreadPoolExecutor(connections) as pool:
        found = list(pool.map(call, range(connections)))
    return sum(answered for answered, _ in found), sum(over for _, over in found)
