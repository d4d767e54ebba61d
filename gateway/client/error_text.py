"""A failed call in words: what was wrong, and what to do."""

from collections.abc import Iterator

from grpc import StatusCode

from gateway.client.errors import CallError
from gateway.client.event_text import shown

# What to do, by the table "May I retry?" in docs/errors.md.
_UNKNOWN = "it may have run: find out before you call again"  # docs/errors.md, "May I retry?"
_ADVICE = {
    StatusCode.UNAVAILABLE: "call again: nothing can happen twice",
    StatusCode.RESOURCE_EXHAUSTED: "call again later: nothing has happened",
    StatusCode.UNKNOWN: _UNKNOWN,
    StatusCode.ABORTED: "look at the state first, then call again if it is still wanted",
    StatusCode.FAILED_PRECONDITION: "look at the state first",
    StatusCode.INTERNAL: "the gateway's operator has to act: its log says more",
}


def lines_of(error: CallError, address: str) -> Iterator[str]:
    """Yield the lines about a call to the gateway at `address` that failed."""
    if not error.reason and error.code is StatusCode.UNAVAILABLE:
        if _is_of_tls(error):
            yield f"no connection to {address}: {shown(error.message)}"
            yield "is it served in TLS, and with a certificate that holds? See the --tls options"
            return
        yield f"no gateway at {address}: {shown(error.message)}"
        yield "start one with `telnyx-gateway serve`, or name another with --address"
        return
    if not error.reason and error.code is StatusCode.DEADLINE_EXCEEDED:
        yield f"no response from {address} in time; a command may have run. --timeout sets the time"
        return
    yield head_of(error)
    for fault in error.faults:
        if fault.description not in error.message:
            yield f"  {fault.field or 'request'}: {shown(fault.description)}"
    if advice := _advice(error):
        yield f"  what to do: {advice}"
    facts = {
        "command_id": error.command_id,
        "outcome": error.outcome,
        "requests sent": _if_several(error.metadata.get("attempts", "")),
        "provider's request": error.metadata.get("provider_request_id", ""),
        "request id": error.request_id,
        "see": " ".join(error.help_urls),
    }
    yield from (f"  {name}: {shown(text)}" for name, text in facts.items() if text)


def _is_of_tls(error: CallError) -> bool:
    """Tell a connection that fails in the handshake: something listens, and does not fit."""
    # gRPC says no more than "Socket closed" of a server in TLS that was spoken to in clear.
    said = ("handshak", "Socket closed")
    return "failed to connect" in error.message and any(it in error.message for it in said)


def head_of(error: CallError) -> str:
    """Return the line that says what a call failed with: status, reason and words."""
    same = error.reason in ("", error.code.name)
    return f"{error.code.name}{'' if same else f' ({error.reason})'}: {shown(error.message)}"


def _advice(error: CallError) -> str:
    if error.outcome == "done":
        return "nothing: it has run, only its response cannot be read"
    if error.outcome == "unknown" and error.code is not StatusCode.UNAVAILABLE:
        if error.command_id:
            return f"call again with command_id={error.command_id} within a minute: it runs once"
        return _UNKNOWN
    advice = _ADVICE.get(error.code, "")
    if error.retry_after_s is not None and advice:
        return f"{advice}, after {error.retry_after_s:g} s"
    return advice


def _if_several(attempts: str) -> str:
    return "" if attempts == "1" else attempts
