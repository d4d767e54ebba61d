"""`docs/operating.md` against the code."""

import re
from pathlib import Path

from gateway.background import PAUSE_S
from gateway.health.assembly import Services, components_of
from gateway.health.health import LOOK_EVERY_S
from gateway.schema.services import COMMAND_SERVICES, EVENT_SERVICE
from gateway.upstream.health.health import PATIENCE_S, PROBES_MIN
from gateway.upstream.health.probe import PROBE_S, SILENCE_S, TROUBLE_S

DOCS = Path(__file__).parents[2] / "docs"
HEALTH = (DOCS / "operating.md").read_text().partition("\n## Health\n")[2].partition("\n## ")[0]
FLAT = " ".join(HEALTH.split())
ERRORS = " ".join((DOCS / "errors.md").read_text().split())


class Well:
    key_problem = provider_problem = requests_problem = None


def test_each_component_is_there_with_what_it_stops() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \|([^|]+)\|$", HEALTH, re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", stops)) for name, stops in rows}
    everything = dict(rows)["gateway"].strip() == "all services"

    commands = frozenset(it.name for it in COMMAND_SERVICES)
    services = Services(commands, frozenset([EVENT_SERVICE.name]))
    components = components_of(
        services, lambda: None, lambda: None, lambda: None, Well(), lambda: None, lambda: None
    )
    actual = {it.name: set(it.services) for it in components}
    assert everything
    assert documented == {**actual, "gateway": set()}
    assert actual["gateway"] == services.all
    assert [it.name for it in components if not it.needed] == ["background_work"]


def test_its_numbers_are_those_of_the_code() -> None:
    assert PROBES_MIN == 3
    assert f"three failed probes in a row and {PATIENCE_S:.0f} s without a success" in FLAT
    assert f"changes within {LOOK_EVERY_S} s" in FLAT
    assert f"restarted after {PAUSE_S:.0f} s" in FLAT
    assert f"three in a row, for {PATIENCE_S:.0f} s" in ERRORS
    assert f"after {SILENCE_S:.0f} s without a response" in ERRORS
    assert f"every {TROUBLE_S:.0f} s while something is wrong" in ERRORS
    assert f"its full {PROBE_S:.0f} s" in ERRORS
