"""The scripts of the chart's hooks, as modules."""

import importlib.util
import sys
from types import ModuleType

from hack.chart.helm import CHART


def load(name: str) -> ModuleType:
    """Import a script that is no part of a package."""
    spec = importlib.util.spec_from_file_location(f"chart_{name}", CHART / "files" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


uninstall = load("uninstall")
