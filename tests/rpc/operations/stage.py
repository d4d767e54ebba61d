"""A gateway in front of the simulated Telnyx, and what that was sent."""

from dataclasses import dataclass

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1.common_pb2 import CommandReceipt
from conferencing.v1.conference_pb2 import Conference
from gateway.sandbox import RecordedRequest, SandboxServer
from tests.harness.gateway import RunningGateway

ALICE, BOB, CAROL = "v3:sandbox-alice", "v3:sandbox-bob", "v3:sandbox-carol"


@dataclass
class Stage:
    gateway: RunningGateway
    simulated: SandboxServer

    def received(self) -> RecordedRequest:
        return self.simulated.control.requests()[-1]

    def conference(self, *others: str) -> Conference:
        created = self.gateway.conferences.CreateConference(
            c.CreateConferenceRequest(call_control_id=ALICE, name="Business")
        )
        for call in others:
            self.gateway.conferences.JoinConference(
                c.JoinConferenceRequest(conference_id=created.conference.id, call_control_id=call)
            )
        return created.conference


def assert_ran(receipt: CommandReceipt, command_id: str) -> None:
    assert receipt.command_id == command_id
    assert receipt.result == "ok"
    assert receipt.cursor
