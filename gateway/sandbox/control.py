"""A blocking client of the control API, for tests and demonstrations."""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson

from gateway.sandbox.faults import Fault, to_json
from gateway.sandbox.journal import Execution, RecordedRequest

# Real seconds that the control API has for a response, beside what it was asked to wait.
_RESPONSE_S = 60.0


class ControlError(Exception):
    """The sandbox refused a request to the control API."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{reason} (HTTP status {status})")
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SandboxCall:
    """A call as the control API shows it."""

    call_control_id: str
    call_leg_id: str
    call_session_id: str
    connection_id: str
    # `from` at the provider, which is no name in Python.
    caller: str
    callee: str
    # `active` or `ended`.
    state: str
    client_state: str | None
    conference_id: str | None
    queue_name: str | None


class SandboxControl:
    """Drives the sandbox at `address`, such as `http://127.0.0.1:8080`.

    Every method is one request on a connection of its own, so one instance can be used from many
    threads. All raise ControlError when the sandbox refuses and OSError when it is not there.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"the address must look like http://127.0.0.1:8080, got {address!r}")
        self.address = f"http://{parts.netloc}"
        self._host = parts.hostname
        self._port = parts.port or 80

    def endpoints(self) -> list[str]:
        """Return the method and path of each endpoint of the control API."""
        return list(self._ask("GET", "")["endpoints"])

    def health(self) -> Mapping[str, Any]:
        """Return `status` and the sandbox time `now`."""
        body: Mapping[str, Any] = self._ask("GET", "/health")
        return body

    def create_call(
        self,
        *,
        call_control_id: str | None = None,
        caller: str | None = None,
        callee: str | None = None,
        connection_id: str | None = None,
    ) -> SandboxCall:
        """Make an active call; whatever is not given is made up."""
        wanted = {
            "call_control_id": call_control_id,
            "from": caller,
            "to": callee,
            "connection_id": connection_id,
        }
        return _call(self._ask("POST", "/calls", wanted))

    def calls(self) -> list[SandboxCall]:
        """Return all calls, ended ones included."""
        return [_call(it) for it in self._ask("GET", "/calls")["calls"]]

    def call(self, call_control_id: str) -> SandboxCall:
        """Return a call."""
        return _call(self._ask("GET", f"/calls/{quote(call_control_id, safe='')}"))

    def hang_up(self, call_control_id: str) -> SandboxCall:
        """End the call; it leaves its conference and queue."""
        return _call(self._ask("POST", f"/calls/{quote(call_control_id, safe='')}/hangup"))

    def dismiss(self, call_control_id: str) -> None:
        """End the call if there is one, also where it is kept in a queue."""
        self._ask("DELETE", f"/calls/{quote(call_control_id, safe='')}")

    def talk(self, call_control_id: str) -> bool:
        """Let the call's participant speak; return whether that changed the floor."""
        body = self._ask("POST", f"/calls/{quote(call_control_id, safe='')}/talk")
        return bool(body["floor_changed"])

    def advance(self, seconds: float) -> float:
        """Move a manual clock forward, and the sandbox with it; return the new time."""
        return float(self._ask("POST", "/clock/advance", {"seconds": seconds})["now"])

    def requests(self, operation: str | None = None) -> list[RecordedRequest]:
        """Return the REST requests received, oldest first."""
        found = self._ask("GET", f"/requests{_only(operation)}")["requests"]
        return [_request(it) for it in found]

    def clear_requests(self) -> None:
        """Forget requests and executions, to count afresh."""
        self._ask("DELETE", "/requests")

    def executions(self, operation: str | None = None) -> list[Execution]:
        """Return the commands that took effect, oldest first."""
        found = self._ask("GET", f"/executions{_only(operation)}")["executions"]
        return [Execution(**it) for it in found]

    def add_fault(self, fault: Fault) -> None:
        """Arm a `RequestFault` or a `WebhookFault`."""
        self._ask("POST", "/faults", to_json(fault))

    def faults(self) -> list[Mapping[str, Any]]:
        """Return the armed faults, each with `left`, its hits still to come."""
        return list(self._ask("GET", "/faults")["faults"])

    def clear_faults(self) -> None:
        """Disarm all faults and let go of webhooks they hold back."""
        self._ask("DELETE", "/faults")

    def public_key(self) -> str:
        """Return the key that verifies webhooks, in base64."""
        return str(self._ask("GET", "/public_key")["public_key"])

    def set_webhook_url(self, url: str | None, failover_url: str | None = None) -> None:
        """Send webhooks there from now on; None sends them nowhere."""
        self._ask("PUT", "/webhook_url", {"url": url, "failover_url": failover_url})

    def pending_deliveries(self) -> int:
        """Return how many webhooks are neither delivered nor abandoned."""
        return int(self._ask("GET", "/deliveries/pending")["pending"])

    def wait_until_delivered(self, timeout: float = 10.0) -> None:
        """Wait until no webhook is pending. Raises TimeoutError after so many real seconds."""
        body = self._ask("GET", f"/deliveries/pending?wait={timeout}", patience=timeout)
        if body["pending"]:
            raise TimeoutError(
                f"{body['pending']} webhooks are still undelivered after {timeout} s"
            )

    def wait_until_idle(self, timeout: float = 10.0) -> None:
        """Wait until nothing more happens before the clock moves: retries may be outstanding.

        Raises TimeoutError after so many real seconds.
        """
        path = f"/deliveries/pending?wait={timeout}&until=idle"
        if not self._ask("GET", path, patience=timeout)["idle"]:
            raise TimeoutError(f"webhooks are still being posted after {timeout} s")

    def play(self, scenario: str, *, loop: bool = False) -> None:
        """Start a scenario of the package."""
        self._ask("POST", "/play", {"scenario": scenario, "loop": loop})

    def what_plays(self) -> Mapping[str, Any]:
        """Return what plays or has played last: `name`, `state`, `position`, `failures`, ..."""
        body: Mapping[str, Any] = self._ask("GET", "/play")
        return body

    def stop_playing(self) -> None:
        """End what plays; whoever is left stays."""
        self._ask("DELETE", "/play")

    def _ask(self, method: str, path: str, body: Any = None, patience: float = 0.0) -> Any:
        connection = http.client.HTTPConnection(
            self._host, self._port, timeout=_RESPONSE_S + patience
        )
        try:
            content = None if body is None else orjson.dumps(body)
            connection.request(method, f"/_sandbox{path}", content)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise ControlError(response.status, _reason(text))
        return orjson.loads(text) if text else None


def _only(operation: str | None) -> str:
    return "" if operation is None else "?" + urlencode({"operation": operation})


def _reason(text: bytes) -> str:
    try:
        return str(orjson.loads(text)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return text.decode("utf-8", "replace")


def _call(value: Mapping[str, Any]) -> SandboxCall:
    rest = dict(value)
    return SandboxCall(caller=rest.pop("from"), callee=rest.pop("to"), **rest)


def _request(value: Mapping[str, Any]) -> RecordedRequest:
    headers = tuple((name, text) for name, text in value["headers"])
    return RecordedRequest(**{**value, "headers": headers})
