"""Panels as data, and as Grafana's JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Any

JSON = dict[str, Any]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Query:
    """One question to Prometheus. `empty` says when it is right that nothing comes back."""

    expr: str
    legend: str = ""
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; `shape` is what its kind of panel adds, `now` asks for this moment only."""

    kind: str
    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str
    width: int
    height: int
    now: bool = False
    shape: Mapping[str, Any] = field(default_factory=dict)

    def json(self, number: int, x: int, y: int) -> JSON:
        """Return it at its place on the grid, which is 24 wide."""
        defaults = {"unit": self.unit, **self.shape.get("defaults", {})}
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {"defaults": defaults, "overrides": self.shape.get("overrides", [])},
            "options": self.shape.get("options", {}),
            "targets": [self._target(at, query) for at, query in enumerate(self.queries)],
            "transformations": self.shape.get("transformations", []),
        }

    def _target(self, at: int, query: Query) -> JSON:
        formats = {"table": "table", "heatmap": "heatmap"}
        return {
            "refId": ascii_uppercase[at],
            "datasource": SOURCE,
            "expr": query.expr,
            "legendFormat": query.legend or "__auto",
            "format": formats.get(self.kind, "time_series"),
            "instant": self.now,
            "range": not self.now,
        }


def steps(*bounds: tuple[float | None, str]) -> JSON:
    """Return thresholds: from each bound on its colour, from None on the first."""
    listed = [{"value": value, "color": color} for value, color in bounds]
    return {"mode": "absolute", "steps": listed}


GOOD_BELOW_ONE = steps((None, "green"), (1, "red"))


def stat(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str = "none",
    width: int = 4,
    decimals: int | None = None,
    thresholds: JSON | None = None,
    graph: bool = True,
) -> Panel:
    """One number, with how it came to be in the background."""
    shade = {"mode": "thresholds"} if thresholds else {"mode": "fixed", "fixedColor": "blue"}
    defaults: JSON = {"color": shade}
    if thresholds:
        defaults["thresholds"] = thresholds
    if decimals is not None:
        defaults["decimals"] = decimals
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "area" if graph else "none",
    }
    shape = {"defaults": defaults, "options": options}
    return Panel("stat", title, description, (query,), unit, width, 4, shape=shape)


def lines(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "none",
    stacked: bool = False,
    low: float | None = 0,
    high: float | None = None,
    mark: float | None = None,
    step: bool = False,
) -> Panel:
    """Curves over time; `mark` is a level worth a line of its own."""
    custom: JSON = {
        "lineWidth": 1,
        "fillOpacity": 40 if stacked else 0,
        "showPoints": "never",
        "stacking": {"mode": "normal" if stacked else "none"},
        "lineInterpolation": "stepAfter" if step else "linear",
    }
    defaults: JSON = {"custom": custom, "color": {"mode": "palette-classic-by-name"}}
    defaults |= {k: v for k, v in {"min": low, "max": high}.items() if v is not None}
    if mark is not None:
        custom["thresholdsStyle"] = {"mode": "dashed"}
        defaults["thresholds"] = steps((None, "transparent"), (mark, "orange"))
    legend = {
        "displayMode": "table",
        "placement": "right",
        "calcs": ["lastNotNull", "max"],
        "sortBy": "Last *",
        "sortDesc": True,
    }
    options = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    shape = {"defaults": defaults, "options": options}
    return Panel("timeseries", title, description, queries, unit, 12, 8, shape=shape)


def heat(title: str, description: str, query: Query, *, unit: str = "s", width: int = 12) -> Panel:
    """How many observations fell into each bucket of a histogram, over time."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges", "scale": "exponential", "exponent": 0.5},
        "yAxis": {"unit": unit, "axisPlacement": "left"},
        "tooltip": {"mode": "single", "yHistogram": False},
        "legend": {"show": True},
    }
    shape = {"options": options}
    return Panel("heatmap", title, description, (query,), unit, width, 8, shape=shape)


def states(
    title: str, description: str, query: Query, names: Mapping[str, tuple[str, str]], *, width: int
) -> Panel:
    """Which state each one was in; `names` gives each value its word and colour."""
    mapped = {value: {"text": text, "color": color} for value, (text, color) in names.items()}
    defaults: JSON = {
        "mappings": [{"type": "value", "options": mapped}],
        "custom": {"fillOpacity": 80, "lineWidth": 0},
    }
    options = {"mergeValues": True, "showValue": "auto", "legend": {"showLegend": False}}
    shape = {"defaults": defaults, "options": options}
    return Panel("state-timeline", title, description, (query,), "none", width, 8, shape=shape)


def bars(
    title: str, description: str, query: Query, *, unit: str = "none", width: int = 12
) -> Panel:
    """A bar for each series, of this moment, the longest first."""
    options = {
        "orientation": "horizontal",
        "displayMode": "basic",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    defaults = {"min": 0, "color": {"mode": "fixed", "fixedColor": "blue"}}
    shape = {"defaults": defaults, "options": options}
    return Panel("bargauge", title, description, (query,), unit, width, 8, now=True, shape=shape)


def kinds(panels: Sequence[Panel]) -> set[str]:
    """Return the kinds of panels that occur: all are part of Grafana itself."""
    return {panel.kind for panel in panels}
