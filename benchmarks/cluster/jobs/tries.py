"""What single Jobs wait for: a verdict, a free GPU, a GPU of somebody else; and many at once."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from benchmarks.cluster.jobs.fill import LIMIT_SECONDS
from benchmarks.cluster.jobs.grounds import PATIENCE_SECONDS, Ground
from benchmarks.cluster.jobs.load import gpus
from benchmarks.cluster.jobs.writes import writes
from benchmarks.cluster.meter import Bound
from scheduler.kube.conditions import ADMITTED
from tests.support.controlplane.api import JSON
from tests.support.controlplane.auditor import Auditor
from tests.support.controlplane.waiting import eventually

JOB_NAME = "batch.kubernetes.io/job-name"
EVERY_SECONDS = 0.02
SETTLE_SECONDS = 3.0
"""Between two samples: who runs has its minimum runtime by then."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Seconds until a pod that never fits is told, and until one that fits is bound meanwhile."""

    told: float
    bound: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """`seconds` until all `pods` of the small tenant are bound.

    `stopped`: pods of the large one; `problems`: what an independent reader of all pods found.
    """

    pods: int
    seconds: float
    stopped: int
    problems: tuple[str, ...]


def at_once(ground: Ground, *, pods: int = 16, each: str = "0.5") -> float:
    """Seconds until so many fractions that just fit are bound; the Jobs are gone afterwards."""
    names = [f"part-{number}" for number in range(pods)]
    with Bound(ground.plane, pods, {}, ground.small.pods) as bound:
        began = time.monotonic()
        ground.small.submit(names, gpus(each))
        bound.wait(LIMIT_SECONDS)
    _clear(ground, names)
    return bound.last - began


def verdict(ground: Ground) -> Verdict:
    """In a full cluster a Job of 80 GPUs of the small tenant; and one for which a GPU got free.

    Everything is as it was afterwards.
    """
    freed = _free_one(ground)
    began = time.monotonic()
    ground.small.submit(["never"], gpus("80"))
    wanted = {"never": _never_fits, "fits": _is_bound}
    between = time.monotonic() - began
    ground.small.submit(["fits"], gpus("1"))
    took = _moments(ground, wanted, began)
    _clear(ground, wanted)
    with Bound(ground.plane, 1, {}, ground.large.pods) as again:
        ground.large.submit([freed], gpus("1"))
        again.wait(LIMIT_SECONDS)
    return Verdict(took["never"], took["fits"] - between)


def reclaim(ground: Ground, number: int) -> float:
    """Seconds beyond the patience until one GPU of the large tenant is the small one's.

    The cluster is full again afterwards, by a further Job of the large tenant: the one that was
    stopped comes back after ten seconds or more, by the rule of its controller.
    """
    time.sleep(SETTLE_SECONDS)
    with Bound(ground.plane, 1, {}, ground.large.pods) as again:
        began = time.monotonic()
        ground.small.submit(["one"], gpus("1"))
        took = _moments(ground, {"one": _is_bound}, began)["one"]
        ground.large.submit([f"next-{number}"], gpus("1"))
        _clear(ground, ["one"])
        again.wait(LIMIT_SECONDS)
    return took - PATIENCE_SECONDS


def exchange(ground: Ground, jobs: int) -> Exchange:
    """Let the small tenant ask for that many GPUs at once, all of which the large one has."""
    auditor = Auditor(ground.plane.kubeconfig())
    auditor.start()
    ground.plane.audit.mark()
    try:
        with Bound(ground.plane, jobs, {}, ground.small.pods) as bound:
            began = time.monotonic()
            ground.small.submit([f"half-{number}" for number in range(jobs)], gpus("1"))
            bound.wait(LIMIT_SECONDS)
        # Those who were stopped are told why they wait, one after another.
        auditor.caught_up(LIMIT_SECONDS)
        problems = tuple(auditor.problems())
    finally:
        auditor.close()
    asked = writes(ground.plane.audit)
    stopped = asked["serve", "create pods/eviction"] + asked["serve", "delete pods"]
    return Exchange(jobs, bound.last - began, stopped, problems)


def _free_one(ground: Ground) -> str:
    """Delete one of the large tenant's Jobs that runs; return its name."""
    query = {"fieldSelector": "status.phase=Running", "limit": "1"}
    (pod,) = ground.plane.api.items(ground.large.pods, query)
    name: str = pod["metadata"]["labels"][JOB_NAME]
    ground.large.delete([name])
    path = f"{ground.large.pods}/{pod['metadata']['name']}"
    eventually(lambda: ground.plane.api.find(path) is None, 30, what="a GPU is free")
    return name


def _clear(ground: Ground, names: Iterable[str]) -> None:
    ground.small.delete(names)
    look = ground.plane.api.items
    eventually(lambda: not look(ground.small.pods), 60, what="the pods are gone")


def _moments(
    ground: Ground, wanted: Mapping[str, Callable[[JSON], bool]], began: float
) -> dict[str, float]:
    """Seconds from `began` until what is wanted of the pod of each Job is seen."""
    seen: dict[str, float] = {}
    end = time.monotonic() + LIMIT_SECONDS
    while seen.keys() != wanted.keys():
        if time.monotonic() > end:
            raise SystemExit(f"not within {LIMIT_SECONDS:g} s: {set(wanted) - set(seen)}")
        for pod in ground.plane.api.items(ground.small.pods):
            name = pod["metadata"]["labels"][JOB_NAME]
            if name in wanted and wanted[name](pod):
                seen.setdefault(name, time.monotonic() - began)
        time.sleep(EVERY_SECONDS)
    return seen


def _is_bound(pod: JSON) -> bool:
    return bool(pod["spec"].get("nodeName"))


def _never_fits(pod: JSON) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(
        (each["type"], each["status"], each.get("reason")) == (ADMITTED, "False", "NeverFits")
        for each in conditions
    )
