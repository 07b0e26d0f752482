"""Tables: one row for each tenant, card or pod, and matrices of cards by node."""

from collections.abc import Sequence
from dataclasses import dataclass

from hack.dashboards.panels import JSON, Panel, Query, steps

PAGES = {"show": False, "enablePagination": True}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its query, its head, its unit; `look` is how Grafana draws the cells."""

    head: str
    query: Query
    unit: str = "none"
    look: str = ""
    colors: JSON | None = None


def table(
    title: str,
    description: str,
    by: Sequence[str],
    columns: Sequence[Column],
    *,
    order: tuple[str, bool],
    links: JSON | None = None,
    width: int = 24,
    height: int = 10,
) -> Panel:
    """One row for each value of the labels `by`; sorted by (head, whether descending).

    All queries have just these labels, so that their answers fall into the same rows.
    """
    names = {f"Value #{chr(ord('A') + at)}": column.head for at, column in enumerate(columns)}
    if len(columns) == 1:
        names = {"Value": columns[0].head, **names}
    tidy = {"excludeByName": {"Time": True}, "renameByName": names}
    shape = {
        "overrides": [*map(_override, columns), *_links(links or {})],
        "options": {"sortBy": [{"displayName": order[0], "desc": order[1]}], "footer": PAGES},
        "transformations": [
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {**tidy, "indexByName": _order(by, columns)}},
        ],
    }
    queries = tuple(column.query for column in columns)
    return Panel("table", title, description, queries, "none", width, height, True, shape)


def matrix(
    title: str,
    description: str,
    query: Query,
    *,
    scheme: str,
    links: JSON,
    width: int = 12,
    height: int = 10,
) -> Panel:
    """A heat map: a row for each node, a cell for each of its cards, coloured from 0 to 1."""
    corner = "node\\device"
    to_matrix = {
        "rowField": "node",
        "columnField": "device",
        "valueField": "Value",
        "emptyValue": "null",
    }
    defaults = {
        "min": 0,
        "max": 1,
        "decimals": 0,
        "color": {"mode": scheme},
        "custom": {"align": "center", "cellOptions": {"type": "color-background"}},
    }
    plain = {"matcher": {"id": "byName", "options": corner}, "properties": _plain(links)}
    shape = {
        "defaults": defaults,
        "overrides": [plain],
        "options": {"sortBy": [{"displayName": corner, "desc": False}], "footer": PAGES},
        "transformations": [{"id": "groupingToMatrix", "options": to_matrix}],
    }
    return Panel("table", title, description, (query,), "percentunit", width, height, True, shape)


def _plain(links: JSON) -> list[JSON]:
    return [
        {"id": "custom.cellOptions", "value": {"type": "auto"}},
        {"id": "custom.align", "value": "left"},
        {"id": "links", "value": [links]},
    ]


def _order(by: Sequence[str], columns: Sequence[Column]) -> dict[str, int]:
    heads = [*by, *(f"Value #{chr(ord('A') + at)}" for at in range(len(columns)))]
    return {head: at for at, head in enumerate(heads)}


def _override(column: Column) -> JSON:
    properties: list[JSON] = [{"id": "unit", "value": column.unit}]
    if column.look:
        properties.append({"id": "custom.cellOptions", "value": {"type": column.look}})
        properties.append({"id": "min", "value": 0})
    if column.colors:
        properties.append({"id": "thresholds", "value": column.colors})
        properties.append({"id": "color", "value": {"mode": "thresholds"}})
    return {"matcher": {"id": "byName", "options": column.head}, "properties": properties}


def _links(links: JSON) -> list[JSON]:
    return [
        {
            "matcher": {"id": "byName", "options": label},
            "properties": [{"id": "links", "value": [link]}],
        }
        for label, link in links.items()
    ]


def link_to(uid: str, variable: str, title: str) -> JSON:
    """Return a link to a dashboard where that variable is what was clicked on."""
    value = "${__value.text}"
    return {"title": title, "url": f"/d/{uid}?var-{variable}={value}&${{__url_time_range}}"}


RED_BELOW = steps((None, "red"), (0.8, "orange"), (0.95, "green"))
