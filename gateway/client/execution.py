"""A program that is run for each event."""

import asyncio
import shlex
import signal
import subprocess
from dataclasses import dataclass

from google.protobuf.json_format import MessageToJson

from conferencing.v1.event_pb2 import Event
from gateway.client.event_text import shown

# How long a program may take to end once it is told to, in seconds.
_END_S = 5.0


class ProgramError(Exception):
    """A program could not be run, or has failed; it says which event it was given."""


@dataclass(frozen=True, slots=True)
class Program:
    """The words of a command; no shell is between."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Program":
        """Split a command as a shell would. Raises ValueError."""
        words = tuple(shlex.split(text))
        if not words:
            raise ValueError("names no program")
        return cls(words)

    async def run(self, event: Event) -> None:
        """Run it with the event's JSON on its standard input, to its end. Raises ProgramError."""
        try:
            # Not asyncio's own: uvloop forks, which gRPC's threads do not survive in one piece.
            # This one spawns without a fork's handlers (vfork, on Linux).
            process = subprocess.Popen(self.words, stdin=subprocess.PIPE)  # noqa: ASYNC220
        except OSError as error:
            raise ProgramError(f"{self.words[0]} cannot be run: {error.strerror}") from None
        line = MessageToJson(event, indent=None).encode() + b"\n"
        try:
            await asyncio.to_thread(process.communicate, line)
        except asyncio.CancelledError:
            await asyncio.to_thread(_end, process)
            raise
        if process.returncode:
            how = _how(process.returncode)
            raise ProgramError(f"{self.words[0]} {how} on event {shown(event.id)}")


def _how(code: int) -> str:
    return f"failed with {code}" if code > 0 else f"was ended by {signal.Signals(-code).name}"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
