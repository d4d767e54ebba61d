"""Speak a text in a conference: one command, with what every command should have.

python -m examples.python.speak CONFERENCE TEXT
"""

import sys
import uuid
from pathlib import Path
from typing import Any

import grpc

from conferencing.v1.conference_service_pb2 import SpeakTextRequest
from conferencing.v1.conference_service_pb2_grpc import ConferenceServiceStub
from examples.python.connecting import credentials, options
from gateway.client import errors

# For all attempts together, in seconds.
DEADLINE_S = 10.0

# Retries commands too, which is harmless because this program sets a command_id.
CONFIG = Path(__file__).parents[2] / "docs" / "service-config" / "commands-with-ids.json"


def main() -> int:
    """Send the command; returns 1 if it failed."""
    parser = options(__doc__)
    parser.add_argument("--service-config", type=Path, default=CONFIG)
    parser.add_argument("conference")
    parser.add_argument("text")
    chosen = parser.parse_args()
    config = (("grpc.service_config", chosen.service_config.read_text()),)
    secure = credentials(chosen)
    if secure is None:
        channel = grpc.insecure_channel(chosen.address, config)
    else:
        channel = grpc.secure_channel(chosen.address, secure, config)
    request = SpeakTextRequest(
        conference_id=chosen.conference,
        payload=chosen.text,
        voice="female",
        command_id=str(uuid.uuid4()),
    )
    # The stubs' types are those of asyncio's channels, too.
    conferences: Any = ConferenceServiceStub(channel)
    with channel:
        try:
            receipt = conferences.SpeakText(request, timeout=DEADLINE_S).receipt
        except grpc.RpcError as error:
            print(told(errors.of(error)), file=sys.stderr)
            return 1
    print(f"spoken: command_id {receipt.command_id}, effects after cursor {receipt.cursor}")
    return 0


def told(failed: errors.CallError) -> str:
    """Return what a call failed with, for people; docs/errors.md says what each line means."""
    lines = [f"{failed.code.name}: {failed.message}"]
    if failed.reason:
        lines.append(f"reason: {failed.reason}")
    lines += [f"field {it.field}: {it.description}" for it in failed.faults]
    if failed.retry_after_s is not None:
        lines.append(f"retry after: {failed.retry_after_s:.3f} s")
    if failed.outcome:
        lines.append(f"outcome: {failed.outcome}")
    if failed.command_id:
        lines.append(f"command_id: {failed.command_id}")
    return "\n  ".join(lines)


if __name__ == "__main__":
    sys.exit(main())
