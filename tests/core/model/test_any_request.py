"""Whatever comes in: a request, or one sentence about what to change."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.model import names
from scheduler.core.model.errors import InvalidRequest
from scheduler.core.model.requestreader import parse_request
from scheduler.core.model.requests import MAX_DEVICES, Request
from tests.core.model.pod_json import pod_of

F, M, C = names.GPU_FRACTION, names.GPU_MEMORY, names.GPU_COUNT
KAI_F, KAI_M, KAI_C = names.KAI_FRACTION, names.KAI_MEMORY, names.KAI_DEVICES

NUMBERLIKE = st.text("0123456789.eE+-_ nukKMGTPimaNfIf", max_size=12)
TEXT = st.one_of(st.text(max_size=40), NUMBERLIKE, st.sampled_from(["0.5", "8Gi", "2", "T4"]))
KEYS = st.sampled_from([F, M, C, KAI_F, KAI_M, KAI_C, names.GPU_MODELS, names.PLACEMENT])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=5,
)


def fields(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({}, optional=values) | JSON


RESOURCES = st.dictionaries(st.sampled_from(["cpu", "memory", names.NVIDIA_GPU]), TEXT | JSON)
CONTAINER = fields(
    resources=fields(requests=RESOURCES, limits=RESOURCES), restartPolicy=st.just("Always")
)


def holds_its_promise(request: Request) -> bool:
    return (
        0 <= request.devices <= MAX_DEVICES
        and (0 < request.milli <= 1000) != (0 < request.memory_mib < 2**31)
        if request.devices
        else (request.milli, request.memory_mib) == (0, 0)
    )


def read_and_check(pod: dict[str, Any]) -> None:
    request = request_or_problem(pod)
    if isinstance(request, str):
        assert "\n" not in request
        assert 0 < len(request) < 400
    else:
        assert holds_its_promise(request)
        assert 0 <= request.cpu_milli < 2**41
        assert 0 <= request.ram_mib < 2**41


def request_or_problem(pod: dict[str, Any]) -> Request | str:
    try:
        return parse_request(pod)
    except InvalidRequest as problem:
        return str(problem)


@given(st.dictionaries(KEYS, TEXT, min_size=1, max_size=3))
def test_any_text_gives_a_request_or_says_what_to_change(notes: dict[str, str]) -> None:
    read_and_check(pod_of(notes))


@given(
    fields(
        metadata=fields(annotations=st.dictionaries(KEYS, TEXT | JSON, max_size=2) | JSON),
        spec=fields(
            containers=st.lists(CONTAINER, max_size=2) | JSON,
            initContainers=st.lists(CONTAINER, max_size=2) | JSON,
            overhead=RESOURCES | JSON,
            resources=fields(requests=RESOURCES),
        ),
    ).filter(lambda pod: isinstance(pod, dict))
)
def test_any_json_gives_a_request_or_says_what_to_change(pod: dict[str, Any]) -> None:
    read_and_check(pod)
