"""The published figures, where a table of them lies beside the traces."""

from collections.abc import Mapping
from pathlib import Path

from scheduler.simulator.traces.tablefile import Row, read_rows

FILE = "published.csv"
PREFIX = "alloc_at_"

NAMES = {
    "Random": "random",
    "BestFit": "best-fit",
    "DotProd": "dot-product",
    "GpuPacking": "gpu-packing",
    "GpuClustering": "gpu-clustering",
    "FGD": "fgd",
}
"""What the publication calls a policy, and what we do."""

Published = Mapping[tuple[str, str], Mapping[int, float]]
"""By trace and policy: allocation in percent by arrived load in percent, mean of ten seeds."""


def read_published(folder: Path | None) -> Published:
    """Read the table in the folder; nothing if there is none. Raises InvalidFile."""
    if folder is None or not (folder / FILE).is_file():
        return {}
    return {
        (row.name("trace"), NAMES.get(row.name("policy"), row.name("policy"))): _figures(row)
        for row in read_rows(folder / FILE, ("trace", "policy"))
    }


def _figures(row: Row) -> dict[int, float]:
    loads = {
        column: column.removeprefix(PREFIX) for column in row.fields if column.startswith(PREFIX)
    }
    # Spreads stand beside the means, as "alloc_at_100_std".
    return {int(load): row.decimal(name) for name, load in loads.items() if load.isdigit()}
