"""A flood of searches over one connection: none of it is served before all of it has come."""

from gateway.server.grpc.heldback import (
    AT_ONCE,
    FLOOD_HELD,
    FLOOD_PER_S,
    FLOOD_S_MAX,
    TICK_S,
    TICKS_FOR_ONE,
)
from tests.harness.held_calls import A, B, Calls, in_a_loop, named

# How many calls make a flood of those that come in a tick.
FLOOD_IN_TICK = round(FLOOD_PER_S * TICK_S) + 1


@in_a_loop
async def test_while_a_flood_comes_none_begins_when_one_ends() -> None:
    flood = named("a", AT_ONCE + FLOOD_HELD)
    calls = Calls()
    await calls.come(A, *flood)
    await calls.tick()

    await calls.end("a3")
    assert calls.begun == flood[:AT_ONCE]
    # Nor does one that has just come pass those that are held.
    await calls.come(A, "late")
    assert calls.begun == flood[:AT_ONCE]

    # In this tick too few have come for a flood: they begin as ever.
    assert await calls.tick() == flood[AT_ONCE : AT_ONCE + 1]
    await calls.end("a4")
    assert calls.begun == flood[: AT_ONCE + 2]
    await calls.end_all()
    assert calls.begun == [*flood, "late"]


@in_a_loop
async def test_a_flood_of_one_holds_up_no_other_that_has_many_held() -> None:
    calls = Calls()
    await calls.come(A, *named("a", AT_ONCE + FLOOD_HELD))
    while calls.clock.now < 1:
        await calls.tick()
        # Less than its share of what comes, and all that it may have at once is in progress.
        await calls.come(A, *named(f"more {calls.clock.now} ", 1))
        await calls.come(B, *named(f"b {calls.clock.now} ", 2 * FLOOD_IN_TICK))
    in_progress = [it for it in calls.begun if it[0] == "a"]

    for name in in_progress:
        await calls.end(name)

    # The last AT_ONCE of them are followed by others.
    assert len([it for it in calls.begun if it[0] == "a"]) == len(in_progress) + AT_ONCE
    await calls.end_all()


@in_a_loop
async def test_a_flood_without_end_is_served_as_ever_in_the_end() -> None:
    calls = Calls()
    await calls.come(A, *named("a", AT_ONCE + FLOOD_HELD))
    while calls.clock.now < FLOOD_S_MAX:
        await calls.tick()
        await calls.come(A, *named(f"more {calls.clock.now} ", FLOOD_IN_TICK))
    begun = len(calls.begun)
    for name in tuple(calls.begun):
        await calls.end(name)
    # Twenty a second begin whatever comes, and none for those that have ended.
    assert begun == len(calls.begun) == AT_ONCE + FLOOD_S_MAX / TICK_S // TICKS_FOR_ONE

    for _ in range(2):
        await calls.tick()
        await calls.come(A, *named(f"last {calls.clock.now} ", FLOOD_IN_TICK))

    assert len(calls.begun) >= begun + AT_ONCE
    await calls.end_all()
