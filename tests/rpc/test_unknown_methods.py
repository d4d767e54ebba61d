"""Many calls of methods that nobody serves: gRPC refuses them by itself, and all are counted."""

from typing import Any

import grpc

from gateway.server.grpc.unknown import IN_WORDS_MAX
from tests.harness.gateway import RunningGateway
from tests.harness.readiness import until

# So many that those words which are due again meanwhile are not enough for all.
MORE = 300


def test_many_are_refused_without_words_and_counted(fresh: RunningGateway) -> None:
    call: Any = fresh.channel.unary_unary("/conferencing.v1.ConferenceService/MakeCoffee")
    pending = [call.future(b"") for _ in range(IN_WORDS_MAX + MORE)]

    assert {it.code() for it in pending} == {grpc.StatusCode.UNIMPLEMENTED}
    in_words = sum("reflection lists" in it.details() for it in pending)
    assert IN_WORDS_MAX <= in_words < len(pending)

    name = "grpc_server_call_duration_seconds_count"
    labels = r'\{grpc_method="other",grpc_status="UNIMPLEMENTED"\}'
    until(lambda: fresh.gauge(name + labels) == len(pending))
