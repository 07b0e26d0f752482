"""Pods before and after: each table row is what a person applied and what is stored of it."""

from typing import Any

import pytest

from scheduler.core.model import names
from scheduler.core.model.requestreader import parse_request
from scheduler.webhook.mutation import TOLERATION, Rules, concerns, mutate, mutate_debug
from tests.webhook.pods import (
    DEVICES,
    DRIVER,
    GATE,
    MPS,
    VOID,
    C,
    F,
    M,
    Pod,
    box,
    from_note,
    ours,
    patched,
    pod_of,
)

ON = names.GPU_CONTAINERS
SHARE = [DEVICES, *MPS]
RULES = Rules(take_over=("kai-scheduler", "runai-scheduler"))
MAIN = {F: "0.25", ON: "main"}


def wired(*variables: Pod, name: str = "main", **more: Any) -> Pod:
    return box(name, env=list(variables), **more)


def emptied(name: str = "main", **more: Any) -> Pod:
    """A container after nvidia.com/gpu was taken out."""
    return box(name, resources={"limits": {}, "requests": {}}, **more)


def after(pod: Pod, rules: Rules = RULES) -> Pod:
    return patched(pod, mutate(pod, rules).ops)


ASKING = {
    "a share": (pod_of({F: "0.25"}), ours(MAIN, wired(*SHARE))),
    "a share by memory": (pod_of({M: "8Gi"}), ours({M: "8Gi", ON: "main"}, wired(*SHARE))),
    "whole GPUs need no limits": (pod_of({F: "2"}), ours({F: "2", ON: "main"}, wired(DEVICES))),
    "its own variables stay before ours": (
        pod_of({F: "0.25"}, box(env=[{"name": "A", "value": "1"}])),
        ours(MAIN, wired({"name": "A", "value": "1"}, *SHARE)),
    ),
    "every other container sees none": (
        pod_of({F: "0.25"}, box(), box("log"), initContainers=[box("setup")]),
        ours(
            MAIN, wired(*SHARE), wired(VOID, name="log"), initContainers=[wired(VOID, name="setup")]
        ),
    ),
    "the containers that are named": (
        pod_of({F: "0.25", ON: "b, setup"}, box("a"), box("b"), initContainers=[box("setup")]),
        ours(
            {F: "0.25", ON: "b, setup"},
            *(wired(VOID, name="a"), wired(*SHARE, name="b")),
            initContainers=[wired(*SHARE, name="setup")],
        ),
    ),
    "the one that kubectl takes by default": (
        pod_of({F: "0.25", "kubectl.kubernetes.io/default-container": "b"}, box("a"), box("b")),
        ours(
            {F: "0.25", "kubectl.kubernetes.io/default-container": "b", ON: "b"},
            *(wired(VOID, name="a"), wired(*SHARE, name="b")),
        ),
    ),
    "a default that isn't there doesn't count": (
        pod_of({F: "0.25", "kubectl.kubernetes.io/default-container": "x"}),
        ours({**MAIN, "kubectl.kubernetes.io/default-container": "x"}, wired(*SHARE)),
    ),
    "foreign gates and tolerations stay": (
        pod_of({F: "0.25"}, schedulingGates=[{"name": "x/y"}], tolerations=[{"key": "k"}]),
        ours(
            MAIN,
            wired(*SHARE),
            schedulingGates=[{"name": "x/y"}, GATE],
            tolerations=[{"key": "k"}, TOLERATION],
        ),
    ),
    "who tolerates everything tolerates us": (
        pod_of({F: "0.25"}, tolerations=[{"operator": "Exists"}]),
        ours(MAIN, wired(*SHARE), tolerations=[{"operator": "Exists"}]),
    ),
    "another effect isn't ours": (
        pod_of({F: "0.25"}, tolerations=[{"operator": "Exists", "effect": "NoExecute"}]),
        ours(
            MAIN,
            wired(*SHARE),
            tolerations=[{"operator": "Exists", "effect": "NoExecute"}, TOLERATION],
        ),
    ),
    "a null list is as good as none": (
        pod_of({F: "0.25"}, box(env=None), tolerations=None, schedulingGates=None),
        ours(MAIN, wired(*SHARE)),
    ),
}

WHOLE = {
    "a limit of nvidia.com/gpu": (
        pod_of(None, box(gpus="2")),
        ours({ON: "main", F: "2"}, emptied(env=[DEVICES])),
    ),
    "other limits stay": (
        pod_of({}, box(resources={"limits": {names.NVIDIA_GPU: 1, "cpu": "2"}})),
        ours({ON: "main", F: "1"}, box(resources={"limits": {"cpu": "2"}}, env=[DEVICES])),
    ),
    "all that ask see all of them": (
        pod_of({"team": "x"}, box("a", gpus="1"), box("b"), box("c", gpus="1")),
        ours(
            {"team": "x", ON: "a,c", F: "2"},
            emptied("a", env=[DEVICES]),
            wired(VOID, name="b"),
            emptied("c", env=[DEVICES]),
        ),
    ),
    "an init container's counts beside, not on top": (
        pod_of(None, box(gpus="1"), initContainers=[box("setup", gpus="1")]),
        ours(
            {ON: "setup,main", F: "1"},
            emptied(env=[DEVICES]),
            initContainers=[emptied("setup", env=[DEVICES])],
        ),
    ),
    "none of it beside a share": (
        pod_of({F: "0.25"}, box(gpus="0")),
        ours(MAIN, emptied(env=SHARE)),
    ),
}

KAI = {
    "KAI's fraction, its scheduler taken over": (
        pod_of({"gpu-fraction": "0.5"}, schedulerName="kai-scheduler"),
        ours({"gpu-fraction": "0.5", ON: "main"}, wired(*SHARE)),
    ),
    "KAI's memory in MiB on several devices": (
        pod_of({"gpu-memory": "2000", "gpu-fraction-num-devices": "2"}),
        ours({"gpu-memory": "2000", "gpu-fraction-num-devices": "2", ON: "main"}, wired(*SHARE)),
    ),
    "KAI's container": (
        pod_of({"gpu-fraction": "0.5", "gpu-fraction-container-name": "b"}, box("a"), box("b")),
        ours(
            {"gpu-fraction": "0.5", "gpu-fraction-container-name": "b", ON: "b"},
            *(wired(VOID, name="a"), wired(*SHARE, name="b")),
        ),
    ),
    "Run:ai's whole GPU": (
        pod_of(None, box(gpus="1"), schedulerName="runai-scheduler"),
        ours({ON: "main", F: "1"}, emptied(env=[DEVICES])),
    ),
}

WITHOUT = {
    "no GPU: all of them hidden, nothing else": (pod_of(), pod_of(None, wired(VOID))),
    "who hides them already is left alone": (
        pod_of(None, wired(VOID)),
        pod_of(None, wired(VOID)),
    ),
    "another way to hide them becomes ours": (
        pod_of(None, wired({"name": "NVIDIA_VISIBLE_DEVICES", "value": "none"}, {"name": "A"})),
        pod_of(None, wired(VOID, {"name": "A"})),
    ),
    "an entry without a value is an empty one": (
        pod_of(None, wired({"name": "NVIDIA_VISIBLE_DEVICES"})),
        pod_of(None, wired(VOID)),
    ),
    "a foreign scheduler may keep its pods without GPUs": (
        pod_of(None, schedulerName="volcano"),
        pod_of(None, wired(VOID), schedulerName="volcano"),
    ),
    "one that is taken over may not be there any more": (
        pod_of(None, schedulerName="kai-scheduler"),
        pod_of(None, wired(VOID), schedulerName="equipoise"),
    ),
    "a node may be named": (
        pod_of(None, nodeName="n"),
        pod_of(None, wired(VOID), nodeName="n"),
    ),
}

TABLE = {**ASKING, **WHOLE, **KAI, **WITHOUT}


@pytest.mark.parametrize(("before", "wanted"), TABLE.values(), ids=TABLE.keys())
def test_a_pod_becomes_what_it_should(before: Pod, wanted: Pod) -> None:
    assert after(before) == wanted


@pytest.mark.parametrize(("before", "wanted"), TABLE.values(), ids=TABLE.keys())
def test_a_second_look_changes_nothing_and_the_request_is_the_same(
    before: Pod, wanted: Pod
) -> None:
    assert mutate(wanted, RULES).ops == ()
    assert parse_request(wanted) == parse_request(before)


def test_a_runtime_class_is_set_where_none_is_named() -> None:
    rules = Rules(runtime_class="nvidia")
    assert after(pod_of({F: "1"}), rules)["spec"]["runtimeClassName"] == "nvidia"
    named = pod_of({F: "1"}, runtimeClassName="kata")
    assert after(named, rules)["spec"]["runtimeClassName"] == "kata"
    assert "runtimeClassName" not in after(pod_of(), rules)["spec"]
    assert "runtimeClassName" not in after(pod_of({F: "1"}))["spec"]


def test_the_drivers_limits_are_wired_only_if_every_node_has_them() -> None:
    found = after(pod_of({F: "0.5"}), Rules(driver_limits=True))
    assert found["spec"]["containers"][0]["env"] == [*SHARE, *DRIVER]
    assert mutate(found, Rules(driver_limits=True)).ops == ()


def test_its_author_hears_what_became_of_a_limit() -> None:
    pod = pod_of(None, box("a", gpus="1"), box("b", gpus="1"))
    assert mutate(pod, RULES).warnings == (
        'nvidia.com/gpu became equipoise.dev/gpu-fraction: "2", and a, b see the same GPUs',
    )
    one = mutate(pod_of(None, box(gpus="1")), RULES).warnings
    assert one == ('nvidia.com/gpu became equipoise.dev/gpu-fraction: "1"',)
    assert mutate(pod_of({F: "0.5"}), RULES).warnings == ()


def test_a_container_that_another_webhook_puts_first_sees_none() -> None:
    pod = after(pod_of({F: "0.25"}))
    pod["spec"]["containers"].insert(0, box("sidecar"))
    again = after(pod)
    assert again["spec"]["containers"] == [wired(VOID, name="sidecar"), wired(*SHARE)]


@pytest.mark.parametrize(
    ("pod", "answer"),
    [
        (pod_of(), False),
        (pod_of({"team": "x"}), False),
        (pod_of(None, box(gpus="1")), False),
        (pod_of({F: "0.5"}), True),
        (pod_of({names.PLACEMENT: "pack"}), True),
        (pod_of(None, schedulerName="equipoise"), True),
        (pod_of(None, schedulerName="kai-scheduler"), True),
        (pod_of(None, schedulerName="volcano"), False),
        (pod_of(None, schedulingGates=[GATE]), True),
        (pod_of({"gpu-fraction": "0.5"}), True),
        (pod_of({"gpu-fraction": "0.5"}, schedulerName=""), True),
        # KAI's annotations mean another scheduler's GPUs where that one is named.
        (pod_of({"gpu-fraction": "0.5"}, schedulerName="volcano"), False),
    ],
)
def test_outside_tenants_namespaces_a_pod_is_ours_if_it_says_so(pod: Pod, answer: bool) -> None:
    assert concerns(pod, RULES) is answer


def test_a_debug_container_sees_no_gpu() -> None:
    before = ours(MAIN, wired(*SHARE), ephemeralContainers=[box("first")])
    pod = ours(MAIN, wired(*SHARE), ephemeralContainers=[box("first"), box("second")])
    found = patched(pod, mutate_debug(pod, before).ops)
    # Those that are there can't be changed any more.
    assert found["spec"]["ephemeralContainers"] == [box("first"), wired(VOID, name="second")]
    assert mutate_debug(found, before).ops == ()


def test_patches_escape_what_a_pointer_must() -> None:
    note = from_note("X", "a")
    pod = pod_of({"a~b/c": "1"}, box(gpus="1", env=[note]))
    paths = [op["path"] for op in mutate(pod, RULES).ops]
    assert "/metadata/annotations/equipoise.dev~1gpu-fraction" in paths
    assert "/spec/containers/0/resources/limits/nvidia.com~1gpu" in paths
    assert "/spec/containers/0/env/-" in paths
    assert C not in paths
