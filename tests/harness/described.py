"""The metrics that gateways have, whatever their settings."""

from gateway.telemetry.instruments import Described
from gateway.telemetry.metrics import Metrics
from tests.harness.gateway import RunningGateway


class NoCounts:
    """Counts of log lines, which a gateway without the command line's set-up has not."""

    counted = dropped = 0


def described(gateway: RunningGateway) -> list[Described]:
    """Return the metrics of a gateway, with those that it has in other settings only."""
    others = Metrics()
    others.watch_logs(NoCounts())  # type: ignore[arg-type]
    others.watch_components({})
    others.watch_certificates({})
    found = {*gateway.app.metrics.instruments.described, *others.instruments.described}
    return sorted(found, key=lambda it: it.name)
