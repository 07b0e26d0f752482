"""What is refused, and that the sentence says what to change."""

import pytest

from scheduler.core.model import assignment, limitnotes, names
from scheduler.core.model.errors import InvalidRequest
from scheduler.webhook.mutation import Rules, mutate, mutate_debug
from tests.webhook.pods import DEVICES, MPS, C, F, M, Pod, box, pod_of

ON = names.GPU_CONTAINERS
RULES = Rules(take_over=("kai-scheduler",))
ALL = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}
ROOM = assignment.MAX_BYTES - assignment.OURS_BYTES

TABLE = {
    "an unreadable share": (pod_of({F: "half"}), "write a share such as"),
    "fraction and memory": (pod_of({F: "0.5", M: "8Gi"}), "not both"),
    "a share and the resource": (pod_of({F: "0.5"}, box(gpus="1")), "keep one of them"),
    "whole GPUs and a count": (pod_of({F: "2", C: "2"}), 'write "4"'),
    "max runtime": (pod_of({names.MAX_RUNTIME: "long"}), '"long" is no duration'),
    "half a gang": (pod_of({F: "1", names.GANG: "train"}), "a gang has a name and a size"),
    "a gang by what made it, which is nothing": (
        pod_of({F: "1", names.GANG_SIZE: "all"}),
        f"which is none of Job, JobSet, LeaderWorkerSet; set {names.GANG} as well",
    ),
    "preemptible": (pod_of({names.PREEMPTIBLE: "maybe"}), '"true" or "false"'),
    "an unknown container": (pod_of({F: "1", ON: "x"}), 'no container "x"; the pod has main'),
    "no container named": (pod_of({F: "1", ON: " , "}), "name at least one container"),
    "a container left out": (
        pod_of({ON: "a"}, box("a"), box("b", gpus="1")),
        "leaves out b, which asks for nvidia.com/gpu; name it too",
    ),
    "KAI's unknown container": (
        pod_of({"gpu-fraction": "0.5", "gpu-fraction-container-name": "x"}),
        'gpu-fraction-container-name: no container "x"',
    ),
    "another scheduler": (
        pod_of({F: "0.5"}, schedulerName="volcano"),
        'schedulerName "volcano" is another scheduler\'s',
    ),
    "a node": (pod_of({F: "0.5"}, nodeName="n1"), 'nodeName "n1" passes by the shares'),
    "a slice from the plugin": (
        pod_of(None, box(resources={"limits": {"nvidia.com/mig-1g.10gb": 1}})),
        '"nvidia.com/mig-1g.10gb" passes by the shares',
    ),
    "a replica from the plugin": (
        pod_of(None, box(resources={"requests": {"nvidia.com/gpu.shared": "1"}})),
        '"nvidia.com/gpu.shared" passes by the shares',
    ),
    "all devices, with a share": (pod_of({F: "0.5"}, box(env=[ALL])), "main"),
    "all devices, without": (pod_of(None, box(env=[ALL])), "leave it out"),
    "devices from elsewhere": (
        pod_of(None, box(env=[{"name": "NVIDIA_VISIBLE_DEVICES", "valueFrom": {}, "value": "0"}])),
        "sets NVIDIA_VISIBLE_DEVICES",
    ),
    "a share for a container that has none": (
        pod_of({F: "0.5"}, box("a"), box("b", env=[DEVICES])),
        'container "b" sets NVIDIA_VISIBLE_DEVICES',
    ),
    "no device for a container with a share": (
        pod_of({F: "0.5"}, box(env=[{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}])),
        "sets NVIDIA_VISIBLE_DEVICES",
    ),
    "limits of its own": (
        pod_of(
            {F: "0.5"}, box(env=[{"name": "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "value": "100"}])
        ),
        "sets CUDA_MPS_ACTIVE_THREAD_PERCENTAGE",
    ),
    "limits with whole GPUs": (pod_of({F: "1"}, box(env=MPS)), "sets CUDA_MPS_PINNED"),
    "another daemon": (
        pod_of(None, box(env=[{"name": "CUDA_MPS_PIPE_DIRECTORY", "value": "/tmp/x"}])),
        "sets CUDA_MPS_PIPE_DIRECTORY",
    ),
    "a memory limit": (
        pod_of({F: "0.5"}, box(env=[{"name": "NVIDIA_GPU_MEMORY_LIMIT", "value": "9"}])),
        "sets NVIDIA_GPU_MEMORY_LIMIT",
    ),
    "MIG for all": (
        pod_of(None, initContainers=[box("i", env=[{"name": "NVIDIA_MIG_CONFIG_DEVICES"}])]),
        'container "i" sets NVIDIA_MIG_CONFIG_DEVICES',
    ),
    "an assignment": (pod_of({names.ASSIGNMENT: "{}"}), "written by Equipoise only"),
    "devices": (pod_of({F: "1", names.DEVICES: "GPU-1"}), "equipoise.dev/devices is written"),
    "a limit of the Binding": (pod_of({limitnotes.MPS_THREADS: "100"}), "mps-threads is written"),
    "no room for the assignment": (
        pod_of({F: "0.5", "x": "y" * ROOM}),
        f"keep them below {ROOM} bytes",
    ),
}


@pytest.mark.parametrize(("pod", "says"), TABLE.values(), ids=TABLE.keys())
def test_refused_in_one_sentence(pod: Pod, says: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        mutate(pod, RULES)
    text = str(refused.value)
    assert says in text
    assert "\n" not in text
    assert len(text) < 300


def test_a_debug_container_may_not_ask_for_all() -> None:
    pod = pod_of(None, ephemeralContainers=[box("debug", env=[ALL])])
    with pytest.raises(InvalidRequest, match='container "debug" sets NVIDIA_VISIBLE_DEVICES'):
        mutate_debug(pod, pod_of())
