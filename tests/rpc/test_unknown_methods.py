"""Many calls of methods that nobody serves: gRPC refuses them by itself, and all are counted."""

from typing import Any

import grpc

from gateway.bytebudget import ByteBudget
from gateway.records.observer import ignore
from gateway.server.grpc.rules import Rules
from gateway.server.grpc.unknown import IN_WORDS_MAX, UnknownMethods
from gateway.server.hooks.peers import GIVEN_UP_MAX
from tests.harness.clock import ManualClock
from tests.harness.gateway import RunningGateway
from tests.harness.loop import LoopThread
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


def test_a_refusal_in_words_stands_for_those_without_before_it(loop: LoopThread) -> None:
    clock, held = ManualClock(), list[str]()
    rules = Rules.of(ignore, ByteBudget(), clock)
    rules.peers.on_flood = lambda peer, kind: held.append(kind)
    server = loop.call(grpc.aio.server)
    server.add_generic_rpc_handlers((UnknownMethods(rules.shell, ignore, clock),))
    port = server.add_insecure_port("127.0.0.1:0")
    loop.run(server.start())

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.unary_unary("/no.Such/Method")

        def calls(count: int) -> None:
            for it in [call.future(b"") for _ in range(count)]:
                assert it.code() is grpc.StatusCode.UNIMPLEMENTED

        calls(IN_WORDS_MAX + GIVEN_UP_MAX)
        assert held == []
        clock.advance(0.1)
        calls(1)
        until(lambda: held == ["CALLS_GIVEN_UP"])
    loop.run(server.stop(None))
