"""Runs it all, prints tables in Markdown, and ends by itself; exit status 1 if a gate is missed.

`python -m benchmarks.cluster [--nodes 100 1000 5000] [--pods 2000] [--rounds 3]`, after
`make controlplane`. Everything listens on loopback. Jobs run on the first number of nodes, else
on 500.
"""

import argparse
import sys

from benchmarks.cluster import planning, quiet, rates, report
from benchmarks.cluster.jobs.gang import measure as measure_gang
from benchmarks.cluster.jobs.gang import show as report_gang
from benchmarks.cluster.jobs.measure import measure as measure_jobs
from benchmarks.cluster.jobs.report import show as show_jobs
from benchmarks.cluster.rates import Rate
from benchmarks.cluster.world import world

NODES, NODES_OF_JOBS = (100, 1000, 5000), 500


def main() -> None:
    asked = _arguments()
    good, sizes = [True], asked.nodes or NODES
    if "rates" in asked.only:
        good += [_rates(nodes, asked) for nodes in sizes]
    if "planning" in asked.only:
        with world(max(sizes)) as there:
            report.show_planning(there.nodes, planning.measure(there, asked.waiting))
    if "quiet" in asked.only:
        good.append(report.show_quiet(quiet.measure(5, 200, asked.quiet)))
    if "jobs" in asked.only:
        nodes = (asked.nodes or (NODES_OF_JOBS,))[0]
        good.append(show_jobs(measure_jobs(nodes, asked.rounds)))
    if "gang" in asked.only:
        nodes = (asked.nodes or (NODES_OF_JOBS,))[0]
        report_gang(nodes, measure_gang(nodes))
    sys.exit(0 if all(good) else 1)


def _arguments() -> argparse.Namespace:
    parts = ("rates", "planning", "quiet", "jobs", "gang")
    parser = argparse.ArgumentParser(prog="benchmarks.cluster", description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", help="in turn")
    parser.add_argument("--pods", type=int, default=2000, help="of one run")
    parser.add_argument(
        "--rounds", type=int, default=3, help="runs of each way, and fills by Jobs, by turns"
    )
    parser.add_argument("--waiting", type=int, default=10_000, help="pods that are planned at once")
    parser.add_argument("--quiet", type=float, default=60, metavar="SECONDS")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--ways", nargs="+", choices=rates.WAYS, default=list(rates.WAYS))
    return parser.parse_args()


def _rates(nodes: int, asked: argparse.Namespace) -> bool:
    """Print the table of one size; whether the gate holds there, or doesn't apply."""
    found: dict[str, list[Rate]] = {way: [] for way in asked.ways}
    with world(nodes) as there:
        for _ in range(asked.rounds):
            for way, runs in found.items():
                runs.append(rates.measure(there, way, asked.pods))
                print(f"   {way}: {runs[-1].per_second:.0f}/s", file=sys.stderr, flush=True)
    return report.show_rates(nodes, asked.pods, found)


if __name__ == "__main__":
    main()
