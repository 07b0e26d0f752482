"""One replay of traces × policies × seeds, and what it comes to; it depends on its task alone."""

from dataclasses import dataclass

from scheduler.simulator.traces import measures
from scheduler.simulator.traces.placementfile import write_placements
from scheduler.simulator.traces.replay import replay, target_workload
from scheduler.simulator.traces.trace import Trace
from scheduler.simulator.traces.workload import build_workload


@dataclass(frozen=True, slots=True)
class Task:
    """One replay, and what is wanted of it beside the figures."""

    trace: Trace
    policy: str
    seed: int
    load: int
    curve: bool = False
    placements: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """The outcome of one replay. `allocation`: percent of the GPUs by arrived load in percent.

    `seconds` is the placing loop alone. `curve` and `placements` (CSV) are empty unless asked for.
    """

    trace: str
    policy: str
    seed: int
    allocation: dict[int, float | None]
    arrived_pods: int
    placed_pods: int
    seconds: float
    curve: measures.Curve = ()
    placements: str = ""

    @property
    def failed_pods(self) -> int:
        """Pods that fitted nowhere when they arrived."""
        return self.arrived_pods - self.placed_pods

    @property
    def placements_per_second(self) -> float:
        """Pods placed in a second of the placing loop, which tries the failed ones too."""
        return self.placed_pods / self.seconds if self.seconds else 0.0


def loads_reported(load: int) -> list[int]:
    """Return the loads that allocation is reported at: 100 where it is reached, and the last."""
    return [100, load] if load > 100 else [load]


def execute(task: Task) -> Run:
    """Replay once and measure."""
    workload = build_workload(task.trace, seed=task.seed, load=task.load)
    mix = target_workload(workload)
    done = replay(workload, task.policy, mix=mix)
    course = measures.course(workload, done.places)
    points: measures.Curve = ()
    if task.curve:
        points = measures.curve(course, measures.fragmentation(workload, done.places, mix=mix))
    return Run(
        trace=task.trace.name,
        policy=task.policy,
        seed=task.seed,
        allocation={load: course.at(load) for load in loads_reported(task.load)},
        arrived_pods=len(workload.events),
        placed_pods=sum(place is not None for place in done.places),
        seconds=done.seconds,
        curve=points,
        placements=write_placements(workload.events, done.places) if task.placements else "",
    )
