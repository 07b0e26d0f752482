"""The committed dashboards are what the code says, and hold what Grafana and people need."""

import json
import re
from itertools import combinations
from typing import Any

import pytest

from hack.dashboards.__main__ import BOARDS, FOLDER, main, path_of, text_of
from hack.dashboards.boards import Board
from hack.dashboards.check import metrics_of
from scheduler.telemetry.agentcatalogue import AGENT_CATALOGUE
from scheduler.telemetry.catalogue import CATALOGUE, Kind, Spec

PANELS = [(board, panel) for board in BOARDS for panel in board.panels]
QUERIES = [(panel, query) for _, panel in PANELS for query in panel.queries]
PARTS_OF_GRAFANA = {"stat", "timeseries", "table", "heatmap", "bargauge", "state-timeline"}
OTHERS = {
    "apiserver_admission_webhook_rejection_count",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
}
"""Metrics that are not ours: of the API server, and of every Python process."""


def _names(spec: Spec) -> set[str]:
    parts = ("_bucket", "_count", "_sum") if spec.kind is Kind.HISTOGRAM else ("",)
    return {spec.name + part for part in parts}


def _boards(board: Board) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path_of(board).read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_what_is_committed_is_what_the_code_says(board: Board) -> None:
    assert path_of(board).read_text(encoding="utf-8") == text_of(board), "run: make dashboards"


def test_no_dashboard_lies_about_that_no_code_makes() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} == {path_of(each).name for each in BOARDS}
    assert main(["--check"]) == 0


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_panels_have_numbers_of_their_own_and_do_not_lie_on_each_other(board: Board) -> None:
    panels = _boards(board)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above
    assert all(place["x"] + place["w"] <= 24 for place in (p["gridPos"] for p in panels))


def test_every_panel_says_what_it_shows_and_needs_no_plugin() -> None:
    for board, panel in PANELS:
        assert panel.description.endswith("."), f"{board.title} / {panel.title}"
        assert panel.unit, f"{board.title} / {panel.title}"
        assert panel.kind in PARTS_OF_GRAFANA
    for board in BOARDS:
        titles = [panel.title for panel in board.panels]
        assert len(titles) == len(set(titles))


def test_queries_ask_only_for_metrics_that_exist() -> None:
    known = {name for spec in (*CATALOGUE, *AGENT_CATALOGUE) for name in _names(spec)} | OTHERS
    for panel, query in QUERIES:
        assert set(metrics_of(query.expr)) <= known, panel.title
        assert metrics_of(query.expr), panel.title


def test_each_metric_of_ours_is_shown_somewhere() -> None:
    shown = {name for _, query in QUERIES for name in metrics_of(query.expr)}
    for spec in (*CATALOGUE, *AGENT_CATALOGUE):
        assert _names(spec) & shown, f"{spec.name} is on no dashboard"


def test_gauges_of_the_scheduler_are_those_of_the_replica_that_acts() -> None:
    """One that stands by knows no shares, and would halve every mean."""
    divided = {spec.name for spec in CATALOGUE if spec.kind is Kind.GAUGE}
    # Alike on every replica; or looked at on each of them, as it is meant.
    divided -= {"equipoise_acts", "equipoise_oversold_gpus", "equipoise_tenant_info"}
    for panel, query in QUERIES:
        named = [name for name in metrics_of(query.expr) if name in divided]
        chosen = len(re.findall(r"max_over_time\(equipoise_tenant", query.expr))
        guards = query.expr.count("on (instance) equipoise_acts == 1")
        assert guards >= len(named) - chosen, f"{panel.title}: {query.expr}"


def test_variables_that_are_used_are_there() -> None:
    for board in BOARDS:
        there = {each["name"] for each in board.json()["templating"]["list"]}
        text = text_of(board).replace("${__value.text}", "").replace("${__url_time_range}", "")
        used = set(re.findall(r"\$\{?([a-z]+)", text))
        assert used == there, board.title


def test_links_lead_to_dashboards_that_exist() -> None:
    uids = {board.uid for board in BOARDS}
    for board in BOARDS:
        loaded = _boards(board)
        assert loaded["links"][0]["tags"] == loaded["tags"]
        assert set(re.findall(r"/d/([a-z-]+)", json.dumps(loaded))) <= uids
