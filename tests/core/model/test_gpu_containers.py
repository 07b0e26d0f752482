"""Which containers see a pod's GPUs."""

from typing import Any

import pytest

from scheduler.core.model import names
from scheduler.core.model.errors import InvalidRequest
from scheduler.core.model.requestreader import parse_gpu_containers
from tests.core.model.pod_json import gpus, pod_of

ON, KAI = names.GPU_CONTAINERS, "gpu-fraction-container-name"
DEFAULT = "kubectl.kubernetes.io/default-container"
ABC = [{"name": "a"}, {"name": "b"}, {"name": "c"}]


def asking(name: str, number: object = 1) -> dict[str, Any]:
    return {**gpus(number), "name": name}


@pytest.mark.parametrize(
    ("pod", "found"),
    [
        (pod_of(), ()),
        (pod_of(None, containers=ABC), ("a",)),
        (pod_of(None, containers=ABC, initContainers=[{"name": "i"}]), ("a",)),
        (pod_of({DEFAULT: "b"}, containers=ABC), ("b",)),
        (pod_of({DEFAULT: "i"}, containers=ABC, initContainers=[{"name": "i"}]), ("i",)),
        (pod_of({DEFAULT: "x"}, containers=ABC), ("a",)),
        (pod_of({ON: "c,a"}, containers=ABC), ("c", "a")),
        (pod_of({ON: " a , c,, a"}, containers=ABC), ("a", "c")),
        (pod_of({ON: "c", DEFAULT: "b", KAI: "a"}, containers=ABC), ("c",)),
        (pod_of({KAI: "c", DEFAULT: "b"}, containers=ABC), ("c",)),
        (pod_of({DEFAULT: "b"}, containers=[asking("a"), *ABC[1:]]), ("a",)),
        (pod_of(None, containers=[asking("a", "0"), asking("b")]), ("b",)),
        (pod_of(None, containers=[asking("a")], initContainers=[asking("i")]), ("i", "a")),
        (pod_of({ON: "b,a"}, containers=[asking("a"), *ABC[1:]]), ("b", "a")),
    ],
)
def test_who_sees_them(pod: dict[str, Any], found: tuple[str, ...]) -> None:
    assert parse_gpu_containers(pod) == found


@pytest.mark.parametrize(
    ("notes", "says"),
    [
        ({ON: ""}, "name at least one container; the pod has i, a, b, c"),
        ({ON: "a,x"}, 'no container "x"; the pod has i, a, b, c'),
        ({KAI: "x"}, f'{KAI}: no container "x"'),
        ({ON: "a"}, "leaves out i, c, which asks for nvidia.com/gpu; name it too"),
        ({ON: 7}, "write the value as text"),
    ],
)
def test_what_is_refused(notes: dict[str, Any], says: str) -> None:
    pod = pod_of(notes, containers=[*ABC[:2], asking("c")], initContainers=[asking("i")])
    with pytest.raises(InvalidRequest) as refused:
        parse_gpu_containers(pod)
    assert says in str(refused.value)
