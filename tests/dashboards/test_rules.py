"""Alert and recording rules: each alert is played through by promtool and has its runbook."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.dashboards.check import RULES, metrics_of, rules
from scheduler.telemetry.agentcatalogue import AGENT_CATALOGUE
from scheduler.telemetry.catalogue import CATALOGUE

ROOT = Path(__file__).resolve().parents[2]
PLAYED = sorted((Path(__file__).parent / "rules").glob("*.yaml"))
RUNBOOKS = ROOT / "docs" / "operations" / "alerts.md"
PROMTOOL = shutil.which("promtool")
ALERTS = [rule for rule in rules() if "alert" in rule]

needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="no promtool here; install Debian's package prometheus"
)


@cache
def _expectations() -> list[dict[str, Any]]:
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in PLAYED]
    return [each for file in files for test in file["tests"] for each in test["alert_rule_test"]]


def _promtool(*argv: str) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_prometheus_takes_the_rules() -> None:
    _promtool("check", "rules", str(RULES))


@needs_promtool
@pytest.mark.parametrize("path", PLAYED, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(path: Path) -> None:
    _promtool("test", "rules", str(path))


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_each_alert_is_played_both_ways(rule: dict[str, Any]) -> None:
    played = [each for each in _expectations() if each["alertname"] == rule["alert"]]
    assert any(each.get("exp_alerts") for each in played), "no test has it fire"
    assert any(not each.get("exp_alerts") for each in played), "no test has it keep quiet"


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_each_alert_says_what_is_wrong_and_where_to_read_on(rule: dict[str, Any]) -> None:
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    page, _, anchor = notes["runbook_url"].partition("#")
    assert ROOT / page == RUNBOOKS
    assert anchor == rule["alert"].lower()
    assert f"\n## {rule['alert']}\n" in RUNBOOKS.read_text(encoding="utf-8")


def test_runbooks_are_of_alerts_that_exist() -> None:
    headings = re.findall(r"^## (Equipoise\w+)$", RUNBOOKS.read_text(encoding="utf-8"), re.M)
    assert sorted(headings) == sorted(rule["alert"] for rule in ALERTS)


def test_rules_ask_only_for_metrics_that_exist() -> None:
    known = {spec.name for spec in (*CATALOGUE, *AGENT_CATALOGUE)}
    known |= {rule["record"] for rule in rules() if "record" in rule}
    known.add("apiserver_admission_webhook_rejection_count")
    for rule in rules():
        asked = {re.sub(r"_(bucket|count|sum)$", "", name) for name in _whole(rule["expr"])}
        assert asked <= known, rule


def _whole(expr: str) -> list[str]:
    named = metrics_of(expr)
    # Ours end in _count nowhere but in histograms; the API server's does.
    return [name for name in named if not name.startswith("apiserver_")]
