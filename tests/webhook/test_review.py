"""Which reviews change a pod, which refuse it, and which leave it alone."""

from typing import Any

import pytest

from scheduler.core.model import names
from scheduler.webhook.mutation import Rules
from scheduler.webhook.review import MIRROR, Answer, mutating, validating
from tests.webhook.pods import VOID, F, Pod, box, patched, pod_of, request_of

RULES = Rules()
UNREADABLE = pod_of({F: "half"})
KUBELET = {"username": "system:node:n1", "groups": ["system:nodes", "system:authenticated"]}


def mutated(pod: Pod, *, tenants: bool = True) -> Pod:
    return patched(pod, mutating(request_of(pod), RULES, tenants=tenants).patch)


def test_in_a_tenants_namespace_every_pod_is_wired() -> None:
    assert mutated(pod_of())["spec"]["containers"][0]["env"] == [VOID]
    assert mutated(pod_of(), tenants=False) == pod_of()


def test_a_limit_of_nvidias_counts_in_tenants_namespaces() -> None:
    pod = pod_of(None, box(gpus="1"))
    assert mutated(pod)["metadata"]["annotations"][F] == "1"
    assert mutated(pod, tenants=False) == pod


@pytest.mark.parametrize("tenants", [True, False])
def test_a_request_counts_everywhere(tenants: bool) -> None:
    found = mutated(pod_of({F: "0.5"}), tenants=tenants)
    assert found["spec"]["schedulerName"] == names.SCHEDULER_NAME


@pytest.mark.parametrize("judge", [mutating, validating])
def test_an_unreadable_request_is_refused_with_the_readers_sentence(judge: Any) -> None:
    found = judge(request_of(UNREADABLE), RULES, tenants=False)
    assert (found.allowed, found.code, found.patch) == (False, 422, ())
    assert found.message.startswith('equipoise.dev/gpu-fraction: "half"')


LEFT_ALONE = {
    "an update": request_of(pod_of({F: "0.5"}), pod_of()),
    "an update of the status": request_of(UNREADABLE, pod_of(), subresource="status"),
    "another resource": request_of(
        UNREADABLE, resource={"group": "apps", "version": "v1", "resource": "deployments"}
    ),
    "a static pod's picture": request_of(
        pod_of({MIRROR: "1", F: "half"}, nodeName="n1"), userInfo=KUBELET
    ),
}


@pytest.mark.parametrize("request_", LEFT_ALONE.values(), ids=LEFT_ALONE.keys())
def test_mutation_leaves_alone(request_: Pod) -> None:
    assert mutating(request_, RULES, tenants=True) == Answer()


def test_only_a_kubelet_makes_pictures_of_static_pods() -> None:
    pod = pod_of({MIRROR: "1"}, nodeName="n1")
    assert mutating(request_of(pod), RULES, tenants=True).patch
    # A kubelet makes nothing else that would be left alone.
    assert mutating(request_of(pod_of(), userInfo=KUBELET), RULES, tenants=True).patch


def test_a_debug_container_is_wired_and_then_passes() -> None:
    before = pod_of()
    pod = pod_of(None, ephemeralContainers=[box("debug")])
    asked = request_of(pod, before, subresource="ephemeralcontainers")
    assert not validating(asked, RULES, tenants=True).allowed
    done = patched(pod, mutating(asked, RULES, tenants=True).patch)
    assert done["spec"]["ephemeralContainers"][0]["env"] == [VOID]
    asked = request_of(done, before, subresource="ephemeralcontainers")
    assert validating(asked, RULES, tenants=True) == Answer()


def test_what_another_webhook_took_away_is_refused() -> None:
    pod = mutated(pod_of({F: "0.5"}))
    assert validating(request_of(pod), RULES, tenants=True) == Answer()
    pod["spec"]["schedulingGates"] = []
    found = validating(request_of(pod), RULES, tenants=True)
    assert not found.allowed
    assert "/spec/schedulingGates; another admission webhook" in found.message


def test_what_changes_later_is_for_the_policies() -> None:
    later = request_of(UNREADABLE, pod_of({F: "0.5"}))
    assert validating(later, RULES, tenants=True) == Answer()
