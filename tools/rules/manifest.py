"""A PrometheusRule: what the Prometheus operator reads, around the groups of a file of rules."""

from pathlib import Path

_HEAD = """\
# Written by `make rules` from {rules}: change that file instead.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: telnyx-gateway
  labels:
    app.kubernetes.io/name: telnyx-grpc-gateway
spec:
"""


def manifest_of(rules: Path) -> str:
    """Return the manifest for a file of rules, which begins with comments and then `groups:`.

    Its text is moved as it is, comments included. Raises ValueError for a file of another form.
    """
    _, found, groups = rules.read_text().partition("\ngroups:\n")
    if not found:
        raise ValueError(f"{rules} has no line `groups:`")
    lines = ["groups:", *groups.splitlines()]
    body = "".join(f"  {line}\n" if line else "\n" for line in lines)
    return _HEAD.format(rules="/".join(rules.parts[-3:])) + body
