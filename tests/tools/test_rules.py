"""Alert rules as the Prometheus operator wants them."""

from pathlib import Path

import pytest
import yaml

from tools.rules.manifest import manifest_of

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"
MANIFEST = ROOT / "deploy" / "kubernetes" / "monitoring" / "prometheus-rule.yaml"

SOME = """\
# A comment.
groups:
  - name: one
    rules:
      # Why.
      - alert: Down
        expr: >-
          up == 0

      - alert: Late
        expr: lag > 1
"""


def test_the_groups_of_a_file_become_those_of_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "some.yaml").write_text(SOME)

    said = yaml.safe_load(manifest_of(tmp_path / "some.yaml"))

    assert (said["apiVersion"], said["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert said["spec"] == yaml.safe_load(SOME)


def test_a_file_without_groups_is_refused(tmp_path: Path) -> None:
    (tmp_path / "some.yaml").write_text("rules: []\n")

    with pytest.raises(ValueError, match="has no line `groups:`"):
        manifest_of(tmp_path / "some.yaml")


def test_the_manifest_has_the_rules_that_there_are() -> None:
    """Else: `make rules`, and name the manifest in the kustomization beside it."""
    assert MANIFEST.exists()
    assert MANIFEST.read_text() == manifest_of(RULES)
