"""The alert rules and the dashboard of `deploy/monitoring` name metrics that exist, with labels that they have."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy.files import DEPLOY, TOP, documents
from tests.http_gate import HttpGate
from tests.shop import Shop

(ALERTS,) = documents("monitoring/alerts.yaml")
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "monitoring/grafana.json").read_text("utf-8"))
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
EXPRESSIONS = [
    *((rule["alert"], rule["expr"]) for rule in RULES),
    *((panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]),
]
OF_PROMETHEUS = {"up"}
"""Metrics that Prometheus itself makes of a target, with these labels on all others."""
TARGET_LABELS = {"job", "instance", "le"}
SELECTOR = re.compile(r"\b((?:goodsgate|process)_\w+|up)\b(?:\{([^}]*)\})?")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Names of the samples that a gate exports, and the labels of each."""
    with Shop(tmp_path_factory.mktemp("monitoring") / "store") as shop:
        gate = HttpGate(shop)
        try:
            gate.client().submit(b'{"id": ""}')
            metrics = gate.application.context.metrics
            metrics.quota_refusals.labels("key-requests").inc()
            metrics.closed_connections.labels("idle").inc()
            metrics.wait_seconds.labels("/v1/changes").observe(1)
            gate.application.context.statistics._expires_at = 0.0
            text = gate.metrics()
        finally:
            gate.close()
    return {
        sample.name: set(sample.labels) for family in text_string_to_metric_families(text) for sample in family.samples
    }


@pytest.mark.parametrize(("name", "expression"), EXPRESSIONS)
def test_a_metric_that_is_named_exists(exported: dict[str, set[str]], name: str, expression: str) -> None:
    """And has the labels by which it is selected and grouped."""
    selectors = SELECTOR.findall(expression)
    assert selectors, expression
    labels: set[str] = set()
    for metric, matchers in selectors:
        assert metric in OF_PROMETHEUS or metric in exported, f"{name}: {metric}"
        own = exported.get(metric, set()) | TARGET_LABELS
        assert set(re.findall(r"(\w+)\s*=", matchers)) <= own, f"{name}: {matchers}"
        labels |= own
    for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
        assert set(grouped.replace(" ", "").split(",")) <= labels, f"{name}: {grouped}"
    assert expression.count("(") == expression.count(")")


def test_alerts_say_what_to_do() -> None:
    """Each has a severity, a summary and an action; commands in it exist."""
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "action"}
        assert rule.get("for", "1m").endswith("m")


def test_the_dashboard_shows_no_panel_twice() -> None:
    """No two panels overlap, and each names the data source that is chosen."""
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    cells: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & own, panel["title"]
        cells |= own
        assert panel["datasource"]["uid"] == "${datasource}"


def test_every_metric_is_documented(exported: dict[str, set[str]]) -> None:
    """In the table, by the name that Prometheus shows."""
    text = (TOP / "docs/reference/metrics.md").read_text("utf-8")
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exported if not name.endswith("_created")}
    assert [name for name in sorted(families) if f"`{name}`" not in text] == []


def test_prometheus_accepts_the_rules_and_the_expressions(tmp_path: Path) -> None:
    """Its own tool checks them, where it is installed."""
    if shutil.which("promtool") is None:
        print("promtool is not installed")
        pytest.skip("promtool is not installed")
    rules = [
        {"record": f"check:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, (_, expression) in enumerate(EXPRESSIONS)
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "expressions", "rules": rules}]}))
    for path in (DEPLOY / "monitoring/alerts.yaml", file):
        done = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
