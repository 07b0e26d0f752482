"""A dashboard: its rows of panels, its variables, and the links to the other ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from hack.dashboards.panels import JSON, SOURCE, Panel

SCHEMA = 39
"""Grafana 11's; later ones read it, and change it themselves when somebody saves."""

TAG = "equipoise"
WIDE = 24


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard. Its `uid` never changes: links from elsewhere lead to it."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[JSON, ...]

    @property
    def panels(self) -> list[Panel]:
        """All of them, from top to bottom."""
        return [panel for row in self.rows for panel in row.panels]

    def json(self) -> JSON:
        """Return what Grafana imports."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": SCHEMA,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "links": [_others()],
            "templating": {"list": [_source(), *self.variables]},
            "annotations": {"list": []},
            "panels": _placed(self.rows),
        }


def _placed(rows: Sequence[Row]) -> list[JSON]:
    """Put panels beside each other until a line is full."""
    placed: list[JSON] = []
    y = 0
    for row in rows:
        placed.append(_heading(row.title, len(placed) + 1, y))
        x, y, tallest = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > WIDE:
                x, y, tallest = 0, y + tallest, 0
            placed.append(panel.json(len(placed) + 1, x, y))
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest
    return placed


def _heading(title: str, number: int, y: int) -> JSON:
    place = {"x": 0, "y": y, "w": WIDE, "h": 1}
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": place,
        "panels": [],
    }


def _others() -> JSON:
    return {
        "type": "dashboards",
        "title": "Equipoise",
        "tags": [TAG],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
    }


def _source() -> JSON:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
    }


def _variable(name: str, label: str, query: str) -> JSON:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all", "selected": True},
    }


TENANT = _variable("tenant", "Tenant", 'label_values(equipoise_tenant_info{leaf="true"}, tenant)')
NODE = _variable("node", "Node", "label_values(equipoise_gpu_allocated_ratio, node)")


def _choice(value: str, *, chosen: bool) -> JSON:
    return {"text": value, "value": value, "selected": chosen}


TOP: JSON = {
    "name": "top",
    "label": "Curves",
    "description": "How many tenants or cards the curves show; tables always have all.",
    "type": "custom",
    "query": "5,10,20,50",
    "current": _choice("10", chosen=True),
    "options": [_choice(each, chosen=each == "10") for each in ("5", "10", "20", "50")],
}
