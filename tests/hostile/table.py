"""Who attacks, with what, and how it has to end: one row for each kind."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from tests.hostile.attacks import internet
from tests.hostile.attacks.target import ATTACKER, Attack
from tests.hostile.bars import Line

From = Literal["internet", "mesh", "provider", "host", "itself"]


@dataclass(frozen=True, slots=True)
class Row:
    """An attack, and what is asked of the gateway beside what is asked of it in every row."""

    from_: From
    name: str
    attack: Attack
    # What the log has to say, None where there is nothing for an operator to know.
    line: Line | None
    # Whether it is made at full speed, which may make honest calls slower.
    flood: bool = False
    # Kinds of honest calls that may fail meanwhile.
    spared: frozenset[str] = frozenset()
    # Which gateway it is for, see `conftest.py`.
    stage: str = "usual"
    seconds: float = 2.5
    log_is_read: bool = True

    @property
    def id(self) -> str:
        return f"{self.from_}: {self.name}"


def _ended(reason: str) -> Line:
    """The line of the HTTP server about what is refused before anybody is asked."""
    return Line(f"an HTTP connection was ended: {reason}", ATTACKER)


def _refused(reason: str) -> Line:
    return Line(f"refused a webhook: {reason}", ATTACKER)


_GET = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
_SIGNED = b"@signed\r\n\r\n"

INTERNET = [
    Row(
        "internet",
        f"{what} without end",
        partial(internet.pour, head=head, piece=piece),
        line,
        flood=True,
    )
    for what, head, piece, line in (
        ("a URL", b"GET /", b"x" * 65_536, _ended("HEAD_TOO_LARGE")),
        ("the name of a header", internet.HEAD + b"x", b"x" * 65_536, _ended("HEAD_TOO_LARGE")),
        ("the value of a header", internet.HEAD + b"x: ", b"x" * 65_536, _ended("HEAD_TOO_LARGE")),
        ("header lines", internet.HEAD, b"a: b\r\n" * 10_000, _ended("HEAD_TOO_LARGE")),
        ("trailers", _SIGNED + b"0\r\n", b"a: b\r\n" * 10_000, _refused("HEAD_TOO_LARGE")),
    )
]

ROWS: list[Row] = [*INTERNET]
