"""Any pod: a second look changes nothing, and what is stored asks for what was asked for."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.model import names
from scheduler.core.model.errors import InvalidRequest
from scheduler.core.model.podreader import gates_of
from scheduler.core.model.requestreader import parse_gpu_containers, parse_request
from scheduler.webhook import review
from scheduler.webhook.mutation import Rules, mutate
from tests.webhook.pods import DEVICES, MPS, VOID, C, F, M, Pod, patched, pod_of, request_of

NAMES = ["a", "b", "setup"]
SMALL = st.sampled_from(["0", "1", "2", "0.25", "0.5", "8Gi", "x", ""])
NOTES = st.dictionaries(
    st.sampled_from([F, M, C, "gpu-fraction", "gpu-memory", "team/x~y", names.GPU_MODELS]), SMALL
)
CHOICE = st.fixed_dictionaries(
    {}, optional={names.GPU_CONTAINERS: st.lists(st.sampled_from(NAMES)).map(",".join)}
)
VARIABLE = st.sampled_from(
    [
        {"name": "A", "value": "1"},
        *(VOID, DEVICES, *MPS),
        {"name": "NVIDIA_VISIBLE_DEVICES", "value": "none"},
        {"name": "NVIDIA_VISIBLE_DEVICES"},
    ]
)
RESOURCES = st.dictionaries(st.sampled_from([names.NVIDIA_GPU, "cpu"]), SMALL)


def container(name: str) -> st.SearchStrategy[Pod]:
    return st.fixed_dictionaries(
        {"name": st.just(name)},
        optional={
            "env": st.none() | st.lists(VARIABLE, max_size=3),
            "resources": st.fixed_dictionaries(
                {}, optional={"limits": RESOURCES, "requests": RESOURCES}
            ),
        },
    )


SPEC: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"containers": st.tuples(container("a"), container("b")).map(list)},
    optional={
        "initContainers": st.lists(container("setup"), max_size=1),
        "schedulerName": st.sampled_from(["", "default-scheduler", "equipoise", "kai", "volcano"]),
        "schedulingGates": st.just([{"name": "x/y"}]),
        "tolerations": st.none() | st.just([{"key": "k", "operator": "Exists"}]),
    },
)
PODS = st.builds(
    lambda notes, choice, spec: pod_of({**notes, **choice} or None, **spec), NOTES, CHOICE, SPEC
)
RULES = st.builds(
    Rules,
    take_over=st.sampled_from([(), ("kai",)]),
    runtime_class=st.sampled_from(["", "nvidia"]),
    driver_limits=st.booleans(),
    label_users=st.booleans(),
)


@given(pod=PODS, rules=RULES)
def test_a_pod_is_refused_or_done_at_the_first_look(pod: Pod, rules: Rules) -> None:
    try:
        draft = mutate(pod, rules)
    except InvalidRequest:
        return
    done = patched(pod, draft.ops)
    assert mutate(done, rules).ops == ()
    assert parse_request(done) == parse_request(pod)
    sees = parse_gpu_containers(pod) if parse_request(pod).devices else ()
    for each in (*done["spec"].get("initContainers", ()), *done["spec"]["containers"]):
        entries = [e for e in each["env"] if e["name"] == "NVIDIA_VISIBLE_DEVICES"]
        assert entries
        assert all(entry == (DEVICES if each["name"] in sees else VOID) for entry in entries)
    assert (names.GATE in gates_of(done)) == bool(sees)


@given(pod=PODS, rules=RULES)
def test_validation_lets_pass_exactly_what_mutation_made(pod: Pod, rules: Rules) -> None:
    first = review.mutating(request_of(pod), rules, tenants=True)
    checked = review.validating(request_of(patched(pod, first.patch)), rules, tenants=True)
    assert checked.allowed == first.allowed
    untouched = review.validating(request_of(pod), rules, tenants=True)
    assert untouched.allowed == (first.allowed and not first.patch)
