"""Runs of a trace as work of tenants, one for each trace, seed and rule."""

import time
from dataclasses import dataclass
from random import Random

from scheduler.simulator.turns.groups import Group, Spread, look
from scheduler.simulator.turns.rules import RULES
from scheduler.simulator.turns.tenantsfile import Plan
from scheduler.simulator.turns.tracework import Pass, workload
from scheduler.simulator.turns.windows import Windows
from scheduler.simulator.turns.workloads import HOUR
from scheduler.simulator.turns.world import World


@dataclass(frozen=True, slots=True)
class TurnsTask:
    """One run."""

    trace: str
    played: Pass
    plan: Plan
    rule: str
    seed: int


@dataclass(frozen=True, slots=True)
class TurnsRun:
    """What it came to. `jain`: of service ÷ due over the windows; `idle` and `evicted`: parts.

    `lost`: GPU-seconds of jobs that were stopped; `waiting`: jobs in line at the end; `seconds`:
    what the run took.
    """

    trace: str
    rule: str
    seed: int
    groups: tuple[Group, ...]
    jain: Spread
    windows: int
    idle: float
    evictions: int
    lost: float
    evicted_part: float
    starts: int
    waiting: int
    seconds: float


def execute(task: TurnsTask) -> TurnsRun:
    """Play once and measure."""
    began, plan, rule = time.perf_counter(), task.plan, RULES[task.rule]
    work = workload(task.trace, task.played, plan, task.seed)
    world = World(work, rule.profile, Random(task.seed), decide=rule.decide)
    windows = world.measures.windows = Windows(plan.window_hours * HOUR)
    measures = world.run()
    jain = windows.jain()
    return TurnsRun(
        trace=task.trace,
        rule=task.rule,
        seed=task.seed,
        groups=look(measures, {size.name: size.tenants for size in plan.sizes}),
        jain=Spread.of(jain),
        windows=len(jain),
        idle=measures.idle(task.played.gpus),
        evictions=measures.evictions,
        lost=measures.lost,
        evicted_part=measures.evicted_part,
        starts=measures.starts,
        waiting=len(world.waiting),
        seconds=time.perf_counter() - began,
    )
