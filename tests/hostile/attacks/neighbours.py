"""From the provider and from the host: what is answered, and who else is on the machine."""

import os
import subprocess
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from time import sleep

import grpc

from conferencing.v1.conference_service_pb2 import (
    GetConferenceRequest,
    HoldParticipantsRequest,
    ListParticipantsRequest,
)
from conferencing.v1.conference_service_pb2_grpc import ConferenceServiceStub
from tests.hostile.attacks.target import Target
from tests.hostile.canary import ask

# The key that the gateway is given, as far as it tells anything.
_SECRET = "0123456789"

_OWN = [("grpc.use_local_subchannel_pool", 1)]
_CALL_S = 3.0

# Nobody of this machine.
_OTHER = 12_345


def asked_about(
    target: Target, way: str, callers: int = 8, may: frozenset[str] = frozenset()
) -> str:
    """Have callers ask for what the provider answers in its way, again and again.

    Fails if a caller is told what it must not be: the key, or a response that is another's, or the
    gateway's own failure; with `may`, if a call ends in any other way.
    """
    ends: Counter[str] = Counter()
    wrong: list[str] = []

    def one(stub: ConferenceServiceStub, number: int) -> None:
        id_ = f"hostile-{way}-{number}"
        while target.goes_on:
            try:
                if may or number % 3 == 0:
                    stub.HoldParticipants(
                        HoldParticipantsRequest(conference_id=id_), timeout=_CALL_S
                    )
                elif number % 3 == 1:
                    got = stub.GetConference(
                        GetConferenceRequest(conference_id=id_), timeout=_CALL_S
                    )
                    if got.conference.id == "stray":
                        wrong.append("a response to somebody else's request")
                else:
                    stub.ListParticipants(
                        ListParticipantsRequest(conference_id=id_), timeout=_CALL_S
                    )
                ends["OK"] += 1
            except grpc.RpcError as error:
                code, told = error.code().name, f"{error.details()} {error.trailing_metadata()}"
                ends[code] += 1
                if _SECRET in told:
                    wrong.append(f"the key: {told}")
                if "GATEWAY_FAILURE" in told or (may and code not in may):
                    wrong.append(f"{code} {told}")

    with grpc.insecure_channel(target.grpc, _OWN) as channel:
        stub = ConferenceServiceStub(channel)
        threads = [threading.Thread(target=one, args=(stub, number)) for number in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong, f"{len(wrong)} callers were told {wrong[0]}"
    return str(dict(ends))


def callers_who_leave(target: Target, callers: int = 100) -> str:
    """Call without a deadline what the provider never answers, and leave."""
    with ExitStack() as stack:
        channel = stack.enter_context(grpc.insecure_channel(target.grpc, _OWN))
        stub = ConferenceServiceStub(channel)
        waiting = [
            stub.HoldParticipants.future(
                HoldParticipantsRequest(conference_id=f"hostile-hangs-{number}")
            )
            for number in range(callers)
        ]
        sleep(0.5)
        for call in waiting:
            call.cancel()
        while target.goes_on:
            sleep(0.1)
    return f"{callers} callers"


def long_delivery_log(target: Target, pages: int) -> str:
    """Have the provider say that its log of deliveries has so many pages."""

    def control(count: int) -> None:
        ask(target.provider, b"GET /control?pages=%d HTTP/1.1\r\nhost: x\r\n\r\n" % count)

    control(pages)
    while target.goes_on:
        sleep(0.1)
    control(0)
    return f"{pages} pages"


def another_user(target: Target) -> str:
    """As another user of the machine read the log, and take its lock. Needs root."""
    log = Path(target.log)
    readable = [
        it.name
        for it in (log, *log.parent.iterdir())
        if _as_other("cat", str(it)) == 0 or _as_other("flock", "-n", str(it), "true") == 0
    ]
    assert not readable, f"another user can open {readable}"
    assert _as_other("ls", str(log.parent)) != 0, "another user can list the folder"
    while target.goes_on:
        sleep(0.1)
    return "nothing can be opened"


def modes(target: Target) -> str:
    """Look at who may open the log's files."""
    log = Path(target.log)
    found = {it.name: oct(it.stat().st_mode & 0o777) for it in (log.parent, *log.parent.iterdir())}
    folder = found.pop(log.parent.name)
    assert folder == "0o700", folder
    assert set(found.values()) == {"0o600"}, found
    while target.goes_on:
        sleep(0.1)
    return str(found)


def _as_other(*command: str) -> int:
    return (
        subprocess.run(
            command, user=_OTHER, group=_OTHER, extra_groups=(), capture_output=True, check=False
        ).returncode
        if os.geteuid() == 0
        else 1
    )
