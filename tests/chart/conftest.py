"""Tests of the chart: skipped where helm isn't built, run by `make test-chart`."""

from pathlib import Path

import pytest

from hack.chart.helm import MISSING, TOOLS

LIVE = Path(__file__).parent / "live"
HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what needs a control plane, unless the command line names it."""
    named = any(Path(arg.partition("::")[0]).resolve().is_relative_to(LIVE) for arg in config.args)
    return True if collection_path == LIVE and not named else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if (TOOLS / "helm").exists():
        return
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.skip(reason=MISSING))
