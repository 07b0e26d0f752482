"""Prometheus' HTTP API: a query at a moment, or over a time."""

from dataclasses import dataclass
from typing import Any

import httpx

from scheduler.core.model.errors import EquipoiseError

LEAST_RATE_SECONDS = 20.0
"""Of fewer points a rate is mostly chance."""


class Unanswered(EquipoiseError):
    """Prometheus refused a query, or can't be reached."""


@dataclass(frozen=True, slots=True)
class Series:
    """Labels, and what was measured: (seconds since the epoch, value)."""

    labels: dict[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float:
        """The newest value."""
        return self.points[-1][1]


@dataclass(frozen=True, slots=True)
class Window:
    """The time that is looked at, in seconds since the epoch, as a dashboard's time range."""

    start: float
    end: float
    step: float

    def fill(self, expr: str) -> str:
        """Put in values for the variables of the dashboards: all tenants, all nodes."""
        values = {
            "$__rate_interval": f"{max(4 * self.step, LEAST_RATE_SECONDS):.0f}s",
            "$__range": f"{self.end - self.start:.0f}s",
            "$tenant": ".*",
            "$node": ".*",
            "$top": "10",
        }
        for name, value in values.items():
            expr = expr.replace(name, value)
        return expr


class Prometheus:
    """The server at `url`, such as http://127.0.0.1:9090."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._http = httpx.Client(timeout=30.0, trust_env=False)

    def now(self, expr: str, at: float) -> list[Series]:
        """Return what a query gives at that moment; raise Unanswered."""
        found = self._ask("query", {"query": expr, "time": f"{at:.3f}"})
        if found["resultType"] == "scalar":
            return [_series({}, [found["result"]])]
        return [_series(each["metric"], [each["value"]]) for each in found["result"]]

    def over(self, expr: str, window: Window) -> list[Series]:
        """Return what a query gives over a time; raise Unanswered."""
        when = {"start": f"{window.start:.3f}", "end": f"{window.end:.3f}"}
        found = self._ask("query_range", {"query": expr, "step": f"{window.step:.3f}", **when})
        return [_series(each["metric"], each["values"]) for each in found["result"]]

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            return self._http.get(f"{self._url}/-/ready").is_success
        except httpx.TransportError:
            return False

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _ask(self, verb: str, form: dict[str, str]) -> dict[str, Any]:
        try:
            answer = self._http.post(f"{self._url}/api/v1/{verb}", data=form)
            body = answer.json()
        except (httpx.TransportError, ValueError) as problem:
            raise Unanswered(f"{self._url} is no Prometheus that answers: {problem}") from problem
        if body.get("status") != "success":
            raise Unanswered(f"{form['query']}: {body.get('error')}")
        data: dict[str, Any] = body["data"]
        return data


def _series(labels: dict[str, str], points: list[list[float | str]]) -> Series:
    return Series(labels, tuple((float(at), float(value)) for at, value in points))
