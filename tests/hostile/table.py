"""Who attacks, with what, and how it has to end: one row for each kind."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from tests.hostile.attacks import internet, mesh, neighbours
from tests.hostile.attacks.target import ATTACKER, Attack
from tests.hostile.bars import Line, NoLine
from tests.hostile.canary import COMMAND
from tests.hostile.leaving import LEAVING

From = Literal["internet", "mesh", "provider", "host", "itself"]


@dataclass(frozen=True, slots=True)
class Row:
    """An attack, and what is asked of the gateway beside what is asked of it in every row."""

    from_: From
    name: str
    attack: Attack
    # What the log has to say.
    line: Line | NoLine
    # Whether it is made at full speed, which may make honest calls slower.
    flood: bool = False
    # Kinds of honest calls that may be late meanwhile, but not fail.
    late: frozenset[str] = frozenset()
    seconds: float = 2.0
    log_is_read: bool = True

    @property
    def stage(self) -> str:
        """Which gateway it is for, see `conftest.py`; each has rows enough to be worth a start."""
        return "internet" if self.from_ in ("itself", "host") else self.from_

    @property
    def leaves(self) -> str:
        """Why its memory is known to come back later, empty if it does not.

        It is not waited for then; the rows after it are asked for theirs and for what is left.
        """
        return LEAVING.get(self.id, "")

    @property
    def id(self) -> str:
        return f"{self.from_}: {self.name}"


def _ended(reason: str) -> Line:
    """The line of the HTTP server about what is refused before anybody is asked."""
    return Line(f"closed an HTTP connection: {reason}", ATTACKER)


def _refused(reason: str) -> Line:
    return Line(f"refused a webhook: {reason}", ATTACKER)


_GET = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
_SIGNED = b"@signed\r\n\r\n"

_ENDLESS = (
    ("a URL", b"GET /", b"x" * 65_536, _ended("HEAD_TOO_LARGE")),
    ("the name of a header", internet.HEAD + b"x", b"x" * 65_536, _ended("HEAD_TOO_LARGE")),
    ("the value of a header", internet.HEAD + b"x: ", b"x" * 65_536, _ended("HEAD_TOO_LARGE")),
    ("header lines", internet.HEAD, b"a: b\r\n" * 10_000, _ended("HEAD_TOO_LARGE")),
    ("trailers", _SIGNED + b"0\r\n", b"a: b\r\n" * 10_000, _refused("HEAD_TOO_LARGE")),
    ("the value of a trailer", _SIGNED + b"0\r\nx: ", b"x" * 65_536, _refused("BODY_TOO_LARGE")),
    ("chunk extensions", _SIGNED + b"2", b";a=b" * 16_384, _refused("BODY_TOO_LARGE")),
    ("chunks of a byte", _SIGNED, b"1\r\nx\r\n" * 10_000, _refused("BODY_TOO_LARGE")),
)
_PLACES = _ended("TOO_MANY_CONNECTIONS")
_UNREAD = NoLine("who reads nothing is told of when its time is over, half a minute later")

INTERNET = [
    *(
        Row(
            "internet",
            f"{what} without end",
            partial(internet.pour, head=head, piece=piece),
            line,
            flood=True,
        )
        for what, head, piece, line in _ENDLESS
    ),
    Row("internet", "silent connections", partial(internet.silent, count=1_200), _PLACES),
    Row(
        "internet",
        "halves of heads",
        partial(internet.silent, count=1_200, head=internet.HEAD),
        _PLACES,
    ),
    Row(
        "internet",
        "connections that wait for the next request",
        partial(internet.silent, count=1_200, head=_GET),
        _PLACES,
    ),
    Row(
        "internet",
        "bodies held back without a signature",
        partial(internet.bodies_held_back, count=2_000, signed=False),
        _refused("MISSING_HEADER"),
        flood=True,
        seconds=4,
    ),
    Row(
        "internet",
        "bodies held back",
        partial(internet.bodies_held_back, count=2_000, signed=True),
        _refused("GATEWAY_OVERLOADED"),
        flood=True,
        seconds=4,
    ),
    Row(
        "internet",
        "queries without waiting",
        partial(internet.pipelined, what=_GET),
        _ended("PIPELINED"),
        flood=True,
    ),
    Row(
        "internet",
        "webhooks without waiting",
        partial(internet.pipelined, what=internet.unsigned()),
        _ended("PIPELINED"),
        flood=True,
    ),
    Row(
        "internet",
        "large bodies with many wrong signatures",
        internet.bad_signatures,
        _refused("SIGNATURE_MISMATCH"),
        flood=True,
    ),
    Row(
        "internet",
        "unsigned webhooks",
        partial(internet.posts, what=internet.unsigned()),
        _refused("MISSING_HEADER"),
        flood=True,
    ),
    Row(
        "internet",
        "requests that are no HTTP",
        partial(internet.posts, what=b"\0\1\2\r\n\r\n"),
        _ended("BAD_REQUEST"),
        flood=True,
    ),
    Row("internet", "offers to upgrade", internet.upgrades, _refused("MISSING_HEADER"), flood=True),
    Row(
        "internet",
        "responses that are not read",
        partial(internet.unread, path="/"),
        _UNREAD,
    ),
    Row(
        "itself",
        "a log that nobody reads",
        partial(internet.posts, what=internet.unsigned()),
        _refused("MISSING_HEADER"),
        flood=True,
        log_is_read=False,
    ),
]


# Where calls come from that gRPC's own client makes: it has no choice.
_CALLERS = "ipv4:127.0.0.1:"


def _held(kind: str) -> Line:
    return Line(f"limited a gRPC connection: {kind}: nothing of it is read", ATTACKER)


def _limited(kind: str) -> Line:
    return Line(f"limited a gRPC connection: {kind}: ", ATTACKER)


def _call(kind: str, peer: str = ATTACKER) -> Line:
    return Line(f"refused a call: {kind}: conferencing", peer)


_GIVEN_UP = _held("CALLS_GIVEN_UP")
_BYTES = _held("BYTES_WITHOUT_CALL")
_ENDS_ITSELF = NoLine("gRPC ends the connection by itself, and tells nobody")
_LIST, _SUBSCRIBE = f"{mesh.EVENTS}/ListEvents", f"{mesh.EVENTS}/Subscribe"
_HELD: dict[str, Line | NoLine] = {
    "resets": _GIVEN_UP,
    "resets after the message": _GIVEN_UP,
    "streams that are reset": _GIVEN_UP,
    "metadata": _held("\\w+"),
    "a header without end": _BYTES,
    "streams without a message": _held("\\w+"),
    "settings": _BYTES,
    "priorities": _BYTES,
    "window updates": _BYTES,
    "unknown frames": _BYTES,
    "methods that nobody knows": _held("\\w+"),
    "pings": _ENDS_ITSELF,  # after three
    "empty pieces of a message": _ENDS_ITSELF,
}

# Most send megabytes at once. Heads of calls go as slowly as gRPC takes them in, on a slow machine
# 4 MiB a second on a connection: it takes two or three until these are too many.
_LONG = {"streams without a message": 5.0}

MESH = [
    Row(
        "mesh",
        "metrics that are not read",
        partial(internet.at_admin, attack=partial(internet.unread, path="/metrics")),
        _UNREAD,
    ),
    Row(
        "mesh",
        "silent connections to the admin address",
        partial(internet.at_admin, attack=partial(internet.silent, count=200)),
        Line("closed an admin connection: TOO_MANY_CONNECTIONS", ATTACKER),
    ),
    *(
        Row(
            "mesh",
            kind,
            partial(mesh.flood, kind=kind),
            line,
            flood=True,
            seconds=_LONG.get(kind, 2),
        )
        for kind, line in _HELD.items()
    ),
    Row(
        "mesh",
        "filters of empty values",
        partial(mesh.calls, path=_LIST, body=mesh.empty_values()),
        _call("INVALID_REQUEST", _CALLERS),
        flood=True,
    ),
    Row(
        "mesh",
        "large filters of streams",
        partial(mesh.streams, path=_SUBSCRIBE, body=mesh.large_filter(), count_=1_000),
        _call("NO_ROOM_FOR_FILTER", _CALLERS),
        flood=True,
    ),
    Row(
        "mesh",
        "searches that find nothing",
        partial(mesh.calls, path=_LIST, body=mesh.nothing(), at_once=20),
        NoLine("so many searches at a time are within bounds"),
        flood=True,
    ),
    Row(
        "mesh",
        "searches in a queue",
        partial(mesh.opened, path=_LIST, body=mesh.nothing(), count_=1_000, connections=3),
        _call("TOO_MANY_SEARCHES"),
        flood=True,
    ),
    Row(
        "mesh",
        "responses that are not read",
        partial(mesh.opened, path=_LIST, body=mesh.everything(), count_=1_000, deaf=True),
        # Which of the two bounds comes first depends on how quickly the responses are made.
        _call("(RESPONSES_NOT_READ|TOO_MANY_SEARCHES)"),
        flood=True,
    ),
    Row(
        "mesh",
        "streams that are not read",
        partial(
            mesh.opened, path=_SUBSCRIBE, body=mesh.from_the_beginning(), count_=1_100, deaf=True
        ),
        _call("TOO_MANY_CALLS_ON_CONNECTION"),
        flood=True,
    ),
    Row(
        "mesh",
        "streams that are not read any more",
        partial(
            mesh.opened,
            path=_SUBSCRIBE,
            body=mesh.in_large_batches(),
            count_=1_000,
            window=mesh.CRUMBS,
        ),
        _limited("STREAMS_NOT_READ"),
        flood=True,
        seconds=5,
    ),
    Row(
        "mesh",
        "forged page tokens",
        partial(mesh.calls, path=_LIST, body=mesh.forged()),
        _call("INVALID_REQUEST", _CALLERS),
        flood=True,
    ),
    Row(
        "mesh",
        "connections",
        partial(mesh.connections, count_=2_500, speaks=True),
        _limited("TOO_MANY_CONNECTIONS"),
    ),
    Row(
        "mesh",
        "connections that say nothing",
        partial(mesh.connections, count_=2_500, speaks=False),
        _limited("TOO_MANY_CONNECTIONS"),
    ),
    Row(
        "mesh",
        "large messages",
        partial(
            mesh.calls, path=f"{mesh.CONFERENCES}/SpeakText", body=mesh.large_message(), at_once=4
        ),
        NoLine("so large a message is taken"),
        flood=True,
    ),
    Row("mesh", "messages that do not end", mesh.silent_messages, _call("NO_MESSAGE")),
    # The last one: thousands of watches take long to go.
    Row(
        "mesh",
        "watches on thousands of conferences",
        partial(mesh.watches, count_=1_000, connections=5, at_once=500, per_second=50),
        _call("TOO_MANY_WATCHES"),
        flood=True,
    ),
]


_TOLD = NoLine("callers are told by their errors, and metrics count them")


def _asked(way: str, name: str, may: frozenset[str] = frozenset()) -> Row:
    """Return the row of a provider's way."""
    attack = partial(neighbours.asked_about, way=way, may=may)
    return Row("provider", name, attack, _TOLD, flood=True, seconds=1.5)


PROVIDER = [
    _asked("two-lengths", "two equal lengths", may=frozenset({"OK"})),
    _asked("empty-items", "8 MiB of empty items"),
    _asked("items-within-the-size", "a page of empty items"),
    _asked("errors", "8 MiB of errors"),
    _asked("chunks-of-a-byte", "chunks of a byte without end"),
    _asked("pours", "a gigabyte"),
    _asked("gzip-of-gzip", "gzip of gzip"),
    _asked("gzip", "gzip of blanks"),
    _asked("two-at-once", "two responses at once"),
    _asked("echo", "the key in an error"),
    _asked("nested", "nesting without end"),
    _asked("nonsense", "what is no HTTP"),
    _asked("head", "a head without end"),
    Row(
        "provider",
        "hangs, and its callers leave",
        neighbours.callers_who_leave,
        NoLine("it is shorter than what is told of"),
        late=frozenset({COMMAND}),
    ),
    Row(
        "provider",
        "a delivery log of a million pages",
        partial(neighbours.long_delivery_log, pages=1_000_000),
        NoLine("backfill reads as much of it as it may"),
        seconds=4,
    ),
]

_NOBODY = NoLine("nothing comes to the gateway")

HOST = [
    Row("host", "another user of the machine", neighbours.another_user, _NOBODY, seconds=1),
    Row("host", "files that others may open", neighbours.modes, _NOBODY, seconds=1),
]

ROWS: list[Row] = sorted([*INTERNET, *HOST, *MESH, *PROVIDER], key=lambda row: row.stage)
