"""What the names mean that stand on Kubernetes objects; tests/docs tells which are missing here."""

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.core.model import limitnotes, names
from scheduler.core.model.requestreader import DEFAULT_CONTAINER, KAI_CONTAINER


@dataclass(frozen=True, slots=True)
class Known:
    """A name, a value that it can have, and what it means."""

    name: str
    example: str
    about: str


def by_tenants() -> Sequence[Known]:
    """Names on pods that tenants write."""
    return (
        Known(
            names.GPU_FRACTION,
            "0.25",
            "share of one GPU, in thousandths at the finest; whole numbers mean whole GPUs",
        ),
        Known(names.GPU_MEMORY, "8Gi", "memory on one GPU, as a Kubernetes quantity, instead"),
        Known(
            names.GPU_COUNT,
            "2",
            "how many GPUs of one node, each with that fraction or memory; 1 by default",
        ),
        Known(
            names.GPU_MODELS,
            "T4,A10",
            "models that will do, any by default; MIG slices only by name",
        ),
        Known(
            names.PLACEMENT,
            "spread",
            "`pack` (default): on the GPU that wastes least; `spread`: on the emptiest",
        ),
        Known(
            names.NVLINK,
            "required",
            "of a pod with several GPUs: `preferred` (default): on those of its node that are "
            "linked by NVLink, if it can; `required`: it waits for such",
        ),
        Known(
            names.GPU_CONTAINERS,
            "main,worker",
            "containers that see the GPUs, all the same ones; by default that of "
            f"`{DEFAULT_CONTAINER}`, else the first",
        ),
        Known(
            names.PREEMPTIBLE,
            "false",
            "`true` (default): may be stopped for others; `false`: must fit into the guarantee of "
            "its tenant and of all above it",
        ),
        Known(
            names.MAX_RUNTIME,
            "2h",
            "after so long it is stopped, and its owner makes it again; such pods may use GPUs "
            "meanwhile that are kept for others",
        ),
        Known(
            names.GANG,
            "llama",
            "pods of one namespace with the same name [start together](../concepts/gangs.md)",
        ),
        Known(
            names.GANG_SIZE,
            "4",
            "how many of them; more join later and leave first. Without a name the gang is that of "
            "what made the pod: `all` that it makes, or so many; `none`: the pod starts by itself",
        ),
        Known(
            names.REQUIRED_TOPOLOGY,
            "topology.kubernetes.io/rack",
            "a label of nodes: all of the gang on nodes with the same value, or it "
            "[waits](../concepts/gangs.md#near-each-other)",
        ),
        Known(
            names.PREFERRED_TOPOLOGY,
            "topology.kubernetes.io/rack",
            "the same, if there is room; else it starts elsewhere",
        ),
        Known(
            names.USER_LABEL,
            "jo",
            "label: whose the pod is, where its tenant is [shared by user](../concepts/users.md)",
        ),
    )


BY_ADMINS = (
    Known(
        names.TENANT_LABEL,
        "vision",
        "label of a namespace: its tenant; without it the tenant is "
        f"`{names.DEFAULT_TENANT}`. Setting it takes the right to update Tenants",
    ),
    Known(names.MANAGED_LABEL, "true", "label of a node: its GPUs are given out by Equipoise"),
    Known(
        names.OWNER_LABEL,
        "vision",
        "label of a node: the tenant that brought it, which is "
        "[guaranteed as much](../concepts/fairness.md#pooling-machines) if its guarantee is "
        f"`{names.CONTRIBUTED}`",
    ),
    Known(
        names.MANAGED_LABEL + ":NoSchedule",
        "",
        "advised taint of such a node; pods with a request tolerate it",
    ),
    Known(
        names.DEFRAG_UNTIL,
        "2026-01-31T12:00:00Z",
        "annotation of a Tenant: until then pods are [moved](../concepts/gangs.md#on-demand) for "
        "those of it that wait, and of all below it; `equipoise defrag` writes it",
    ),
    Known(names.DEFRAG_MOVES, "4", "beside it: so many at most; without it, any number"),
)

BY_US = (
    Known(
        names.GATE,
        "",
        "scheduling gate: the pod waits for its turn",
    ),
    Known(
        names.GRANTED,
        "987d1be6fd805781",
        "it came while nobody waited: the booking of the place that it was created with",
    ),
    Known(
        names.DEVICES, "GPU-5a…,GPU-7c…", "UUIDs of its GPUs; NVIDIA_VISIBLE_DEVICES refers to it"
    ),
    Known(
        names.ASSIGNMENT,
        '{"version":1,"node":"gpu-0","slots":[[0,"GPU-5a…",250,20480]]}',
        "what it holds: index, UUID, thousandths and MiB of each",
    ),
    Known(limitnotes.MPS_MEMORY, "0=20480M", "memory limit for MPS, each device"),
    Known(limitnotes.MPS_THREADS, "25", "part of the multiprocessors for MPS, in percent"),
    Known(limitnotes.MEMORY_LIMIT, "20480", "memory limit for the driver, in MiB"),
)

OTHERS = (
    Known(names.KAI_FRACTION, "0.5", "as KAI and Run:ai write it"),
    Known(names.KAI_MEMORY, "8192", "the same, in MiB"),
    Known(names.KAI_DEVICES, "2", "how many GPUs, each with that fraction or memory"),
    Known(KAI_CONTAINER, "main", "the one container that sees the GPU"),
    Known(
        names.NVIDIA_GPU,
        "1",
        "a resource, not an annotation: whole GPUs, turned into a request and taken out",
    ),
)
