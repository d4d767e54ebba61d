"""A sandbox with a client and a webhook receiver, ready to act on."""

from __future__ import annotations

from typing import Any

import httpx

from gateway.sandbox import SandboxServer
from tests.sandbox.receiver import Receiver

ALICE, BOB, CAROL = "v3:sandbox-alice", "v3:sandbox-bob", "v3:sandbox-carol"


class Stage:
    """What most tests need. Requests that must succeed are asserted to."""

    def __init__(self, sandbox: SandboxServer, receiver: Receiver) -> None:
        self.sandbox = sandbox
        self.control = sandbox.control
        self.receiver = receiver
        self.http = httpx.Client(
            base_url=sandbox.base_url,
            headers={"authorization": "Bearer KEY"},
            trust_env=False,
            verify=False,  # nothing is encrypted here, and loading certificates takes long
        )

    def get(self, path: str, **query: Any) -> Any:
        """The answer's body."""
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.http.post(path, json=body)

    def create(self, call: str = ALICE, name: str = "Standup", **body: Any) -> str:
        """A conference with this call in it; its id."""
        answer = self.post("/conferences", call_control_id=call, name=name, **body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["id"])

    def meet(self, *calls: str, **body: Any) -> str:
        """A conference of all these calls, created with the first; its id."""
        conference = self.create(calls[0], **body)
        for call in calls[1:]:
            self.act(conference, "join", call_control_id=call)
        return conference

    def act(self, conference: str, action: str, **body: Any) -> None:
        """An action that must succeed."""
        answer = self.post(f"/conferences/{conference}/actions/{action}", **body)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"data": {"result": "ok"}}

    def enqueue(self, call: str, queue: str = "support", **body: Any) -> None:
        answer = self.post(f"/calls/{call}/actions/enqueue", queue_name=queue, **body)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"data": {"result": "ok"}}

    def conference(self, conference: str) -> dict[str, Any]:
        value: dict[str, Any] = self.get(f"/conferences/{conference}")["data"]
        return value

    def participants(self, conference: str, **query: Any) -> list[dict[str, Any]]:
        value: list[dict[str, Any]] = self.get(f"/conferences/{conference}/participants", **query)[
            "data"
        ]
        return value

    def participant(self, conference: str, call: str) -> dict[str, Any]:
        """The listed participant that is this call."""
        found = [one for one in self.participants(conference) if one["call_control_id"] == call]
        assert len(found) == 1, found
        return found[0]

    def events(self, *types: str) -> list[dict[str, Any]]:
        """``data`` of the webhooks so far, only of these types if any are given."""
        self.control.wait_until_idle()
        every = [one.data for one in self.receiver.received]
        return [one for one in every if not types or one["event_type"] in types]

    def types(self) -> list[str]:
        """Types of the webhooks so far, in order."""
        return [one["event_type"] for one in self.events()]

    def forget(self) -> None:
        """Let the webhooks so far be over and start afresh."""
        self.control.wait_until_idle()
        self.receiver.received.clear()


def errors(answer: httpx.Response) -> list[tuple[str, str | None]]:
    """Code and pointer of each error in an answer."""
    return [(one["code"], one.get("source", {}).get("pointer")) for one in answer.json()["errors"]]
