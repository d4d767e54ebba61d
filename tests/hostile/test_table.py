"""Every row of the table: nothing that one of them sends takes the gateway from the others."""

from collections.abc import Callable

import pytest

from tests.harness.needs import on_linux
from tests.hostile.bars import MIB, TRIES, faults, lateness, slowness
from tests.hostile.stage import Stage
from tests.hostile.table import ROWS, Row


@on_linux
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_an_attack_takes_the_gateway_from_nobody(
    stage_of: Callable[[str], Stage], row: Row
) -> None:
    stage = stage_of(row.stage)
    for _ in range(TRIES):
        seen, did = stage.attack(row.attack, row.seconds, log_is_read=row.log_is_read)
        found = faults(seen, line=row.line)
        found += stage.recovers() if not row.leaves else []
        found += lateness(seen, flood=row.flood, late=row.late)

        times = ", ".join(f"{kind} {it:.1f}" for kind, it in slowness(seen).items())
        print(
            f"{row.id}: {did}; times idle: {times}; "
            f"memory +{(seen.most_bytes - seen.idle_bytes) // MIB} MiB; {found or 'kept'}"
        )
        if not found:
            break
    assert not found, "\n".join(found)
