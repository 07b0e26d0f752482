"""How a trace becomes work: which part of it, at what pace, and whose."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from scheduler.core.model.errors import InvalidFile, InvalidInput
from scheduler.core.model.ids import TenantName
from scheduler.simulator.traces.lives import Life, lives_of
from scheduler.simulator.traces.synthetic import synthetic_trace
from scheduler.simulator.traces.trace import Trace
from scheduler.simulator.traces.tracefile import read_trace
from scheduler.simulator.turns.rules import OURS
from scheduler.simulator.turns.tenantsfile import Plan, Size
from scheduler.simulator.turns.tracework import one_pass, owned, part_of, workload
from scheduler.simulator.turns.workloads import DAY
from scheduler.simulator.turns.world import World

NODES = "sn,cpu_milli,memory_mib,gpu,model\na,64000,262144,2,T4\nb,64000,262144,2,P100\n"
PODS = """\
name,cpu_milli,memory_mib,num_gpu,gpu_milli,creation_time,deletion_time,scheduled_time
early,1000,1,1,500,100,400,200
late,1000,1,1,1000,1100,9100,1100
never,1000,1,1,1000,200,9000,
cpu,1000,1,0,0,200,9000,300
huge,1000,1,4,1000,200,9000,300
"""
SIZES = (Size("large", 0.6), Size("small", 0.1, count=4))
PLAN = Plan(SIZES, load=1.1, longest_hours=1)


def trace(folder: Path, pods: str = PODS) -> Trace:
    (folder / "nodes.csv").write_text(NODES)
    (folder / "pods_tiny.csv").write_text(pods)
    return read_trace(folder, "tiny")


def test_a_pod_ran_from_when_it_was_scheduled_until_it_was_deleted(tmp_path: Path) -> None:
    lives = lives_of(trace(tmp_path))
    assert lives["early"] == Life(100, 200)
    assert "never" not in lives


def test_without_the_time_of_scheduling_it_ran_from_its_creation(tmp_path: Path) -> None:
    lines = [",".join(line.split(",")[:-1]) for line in PODS.splitlines()]
    assert lives_of(trace(tmp_path, "\n".join(lines)))["early"] == Life(100, 300)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("creation_time", "created"), 'no column "creation_time"'),
        (("100,400,200", "100,150,200"), r"pods_tiny.csv:2: deletion_time lies before"),
        (("100,400,200", "100,,200"), "pods_tiny.csv:2: deletion_time"),
    ],
)
def test_a_trace_without_sound_times_is_told(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    with pytest.raises(InvalidFile, match=says):
        lives_of(trace(tmp_path, PODS.replace(*change)))


def test_only_pods_come_that_ran_on_gpus_and_fit_and_they_are_cut_and_paced(tmp_path: Path) -> None:
    read = trace(tmp_path)
    played = one_pass(read, lives_of(read), PLAN)
    assert [(piece.request.milli, piece.seconds) for piece in played.pieces] == [
        (500, 200),
        (1000, 3600),
    ]
    assert (played.gpus, played.left_out) == (4, 3)
    assert sum(piece.work for piece in played.pieces) == pytest.approx(1.1 * 4 * played.seconds)
    assert [piece.at for piece in played.pieces] == pytest.approx([0, played.seconds / 2])


def test_where_nothing_would_come_one_line_says_so(tmp_path: Path) -> None:
    read = trace(tmp_path)
    with pytest.raises(InvalidInput, match="no pod comes"):
        one_pass(read, {}, PLAN)


def test_a_million_jobs_are_too_many(tmp_path: Path) -> None:
    read = trace(tmp_path)
    plan = replace(PLAN, days=3650, longest_hours=0.001)
    with pytest.raises(InvalidInput, match="take fewer days"):
        workload("tiny", one_pass(read, lives_of(read), plan), plan, 1)


def jobs(plan: Plan, seed: int = 1) -> list[tuple[float, str, float]]:
    made_up = synthetic_trace()
    played = one_pass(made_up, lives_of(made_up), plan)
    arrivals = workload("x", played, plan, seed).arrivals(Random(0))
    return [(at, job.tenant, job.seconds * job.request.total_milli) for at, job in arrivals]


PLAYED = replace(PLAN, nodes=0.1, days=3)


def test_each_tenant_has_its_part_of_the_work_which_is_as_much_as_the_load_says() -> None:
    work: Counter[str] = Counter()
    for _, tenant, amount in jobs(PLAYED):
        work[tenant] += amount  # type: ignore[assignment]
    parts = {name: size.work for size in SIZES for name in size.tenants}
    assert {name: amount / work.total() for name, amount in work.items()} == pytest.approx(
        parts, rel=0.2
    )
    gpus = one_pass(synthetic_trace(), lives_of(synthetic_trace()), PLAYED).gpus
    assert work.total() / 1000 == pytest.approx(1.1 * gpus * 3 * DAY, rel=0.1)


def test_arrivals_are_in_order_and_another_seed_changes_only_whose_they_are() -> None:
    one, again, other = jobs(PLAYED), jobs(PLAYED), jobs(PLAYED, seed=2)
    assert one == again
    assert [at for at, _, _ in one] == sorted(at for at, _, _ in one)
    assert [(at, amount) for at, _, amount in one] == [(at, amount) for at, _, amount in other]
    assert [tenant for _, tenant, _ in one] != [tenant for _, tenant, _ in other]


def test_a_part_of_the_nodes_has_all_kinds_in_proportion() -> None:
    nodes = synthetic_trace().nodes
    some = part_of(nodes, 0.25)
    assert len(some) == 30
    assert part_of(nodes, 1) == nodes
    assert len(part_of(nodes, 0.0001)) == 1
    whole = Counter(node.devices[0].model for node in nodes)
    few = Counter(node.devices[0].model for node in some)
    assert all(abs(few[model] - count / 4) <= 1 for model, count in whole.items())


def test_tenants_of_the_plan_are_those_of_the_workload() -> None:
    read = synthetic_trace()
    made = workload("x", one_pass(read, lives_of(read), PLAYED), PLAYED, 1)
    assert [tenant.name for tenant in made.tenants] == [
        TenantName(name) for name in ("large", "small-0", "small-1", "small-2", "small-3")
    ]


def test_nodes_go_to_their_owners_by_their_parts_and_the_rest_to_nobody() -> None:
    sizes = (Size("big", 0.5, owns=0.5), Size("small", 0.25, count=2, owns=0.125))
    nodes = synthetic_trace().nodes
    gpus = Counter[str]()
    for node in owned(nodes, Plan(sizes)):
        gpus[node.owner or "nobody"] += len(node.devices)
    total = sum(gpus.values())
    largest = max(len(node.devices) for node in nodes)
    for name, part in (("big", 0.5), ("small-0", 0.125), ("small-1", 0.125), ("nobody", 0.25)):
        assert abs(gpus[name] - part * total) <= largest
    assert owned(nodes, PLAN) == nodes


def test_a_contributed_guarantee_is_what_the_nodes_of_the_trace_come_to() -> None:
    sizes = (Size("owner", 0.5, owns=0.5, contributed=True), Size("guest", 0.5))
    played = one_pass(synthetic_trace(), lives_of(synthetic_trace()), Plan(sizes, nodes=0.1))
    plan = Plan(sizes, nodes=0.1, days=0.01)
    tree = World(workload("t", played, plan, 1), OURS, Random(1)).tree
    brought = sum(len(node.devices) for node in played.nodes if node.owner == "owner")
    guarantees = [each.guarantee for each in tree.tenants.values()]
    assert guarantees == [brought, 0]
    assert brought > 0
