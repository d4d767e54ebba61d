"""The command programs, each against a gateway with a simulated provider."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conferencing.v1.conference_service_pb2 import CreateConferenceRequest
from tests.harness.process import GatewayProcess
from tests.interop.programs import Built


@dataclass(frozen=True)
class Stand:
    """A gateway's address, and a conference that it has."""

    address: str
    conference: str


@contextmanager
def stand(folder: Path) -> Iterator[Stand]:
    """Start a gateway with a conference."""
    with GatewayProcess(folder, "--sandbox") as gateway:
        request = CreateConferenceRequest(name="interop", call_control_id="v3:sandbox-alice")
        created = gateway.conferences.CreateConference(request, timeout=20)
        yield Stand(gateway.grpc_address, created.conference.id)


@dataclass(frozen=True)
class Ended:
    """How a command program ended: its exit code, and all that it said."""

    code: int
    text: str

    @property
    def status(self) -> str:
        """The name of the gRPC code; OK if it succeeded, else what stands before the message."""
        found = re.match(r"([A-Z_]+): ", self.text)
        return "OK" if self.code == 0 else found[1] if found else self.text

    def line(self, name: str) -> str:
        """What follows a name at the beginning of a line, empty if there is none."""
        found = re.search(rf"^  {re.escape(name)}: (.+)$", self.text, re.MULTILINE)
        return found[1] if found else ""


def speak(built: Built, address: str, *words: str) -> Ended:
    """Run a command program."""
    result = built.speak(address, *words)
    return Ended(result.returncode, result.stdout + result.stderr)


def cases(built: Built, at: Stand) -> dict[str, Ended]:
    """Run one in each of the three ways that a table shows."""
    return {
        "success": speak(built, at.address, at.conference, "hello"),
        "invalid": speak(built, at.address, at.conference, ""),
        "not found": speak(built, at.address, "no-such-conference", "hello"),
    }


def faults(ended: dict[str, Ended]) -> list[str]:
    """Return what is not as it should be."""
    success, invalid, missing = ended["success"], ended["invalid"], ended["not found"]
    wanted = {
        "success": success.code == 0 and re.match(r"spoken: command_id \S+, ", success.text),
        "invalid": (invalid.code, invalid.status, invalid.line("reason"))
        == (1, "INVALID_ARGUMENT", "INVALID_REQUEST")
        and invalid.line("field payload"),
        "not found": (missing.code, missing.status) == (1, "NOT_FOUND")
        and missing.line("command_id"),
    }
    return [f"{case}: {ended[case].text}" for case, holds in wanted.items() if not holds]
