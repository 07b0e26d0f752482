"""What a pod asks for: every way to say it, and every way to say it wrong."""

from typing import Any

import pytest

from scheduler.core.model import names
from scheduler.core.model.errors import InvalidRequest
from scheduler.core.model.requestreader import (
    parse_max_runtime,
    parse_preemptible,
    parse_request,
)
from scheduler.core.model.requests import MAX_DEVICES, Request, Spreading
from tests.core.model.pod_json import pod_of
from tests.support.builders import by_memory, cpu_only, share, whole

F, M, C = names.GPU_FRACTION, names.GPU_MEMORY, names.GPU_COUNT
KAI_F, KAI_M, KAI_C = names.KAI_FRACTION, names.KAI_MEMORY, names.KAI_DEVICES


@pytest.mark.parametrize(
    ("notes", "request_"),
    [
        ({}, Request()),
        ({"team": "vision"}, Request()),
        ({F: "0.25"}, share(250)),
        ({F: " 0.25 "}, share(250)),
        ({F: "0.001"}, share(1)),
        ({F: "0.999"}, share(999)),
        ({F: "1e-3"}, share(1)),
        ({F: ".5"}, share(500)),
        ({F: "0.2500"}, share(250)),
        ({F: "0.5", C: "4"}, share(500, 4)),
        ({F: "0.5", C: " 04 "}, share(500, 4)),
        ({F: "1"}, whole(1)),
        ({F: "1.0"}, whole(1)),
        ({F: "8"}, whole(8)),
        ({F: str(MAX_DEVICES)}, whole(MAX_DEVICES)),
        ({M: "8Gi"}, by_memory(8192)),
        ({M: "8192Mi"}, by_memory(8192)),
        ({M: " 8 Gi "}, by_memory(8192)),
        # Bytes are rounded up to whole MiB: 10^9 ÷ 2^20 = 953.67.
        ({M: "1G"}, by_memory(954)),
        ({M: "1"}, by_memory(1)),
        ({M: "8Gi", C: "2"}, by_memory(8192, 2)),
        ({F: "0.5", names.GPU_MODELS: "T4, A10,,T4"}, share(500, models=("A10", "T4"))),
        ({F: "0.5", names.PLACEMENT: "spread"}, share(500, spreading=Spreading.SPREAD)),
        ({F: "0.5", names.PLACEMENT: "pack"}, share(500)),
        ({KAI_F: "0.5"}, share(500)),
        ({KAI_F: "0.5", KAI_C: "2"}, share(500, 2)),
        ({KAI_M: "4096"}, by_memory(4096)),
        ({KAI_M: "4096", KAI_C: "3"}, by_memory(4096, 3)),
        # Ours goes before KAI's where both are there.
        ({F: "0.25", KAI_F: "0.5", KAI_C: "2"}, share(250)),
    ],
)
def test_annotations_that_ask_for_something(notes: dict[str, str], request_: Request) -> None:
    assert parse_request(pod_of(notes)) == request_


@pytest.mark.parametrize(
    ("notes", "says"),
    [
        ({F: "0"}, "must be above 0"),
        ({F: "-0.5"}, "must be above 0"),
        ({F: "-0"}, "must be above 0"),
        ({F: ""}, "is not a number"),
        ({F: " "}, "is not a number"),
        ({F: "half"}, "is not a number"),
        ({F: "NaN"}, "is not a number"),
        ({F: "sNaN"}, "is not a number"),
        ({F: "inf"}, "is not a number"),
        ({F: "-Infinity"}, "is not a number"),
        ({F: "1e400"}, "is not a number"),
        ({F: "1e-400"}, "is not a number"),
        ({F: "1e999999999999999999"}, "is not a number"),
        ({F: "0_5"}, "is not a number"),
        ({F: "\u0660.\u0665"}, "is not a number"),
        ({F: "50%"}, "is not a number"),
        ({F: "500m"}, "is not a number"),
        ({F: "1.5"}, "neither a share of one GPU nor a whole number"),
        ({F: "0.0001"}, "finer than 0.001"),
        ({F: "129"}, "ask for 128 at most"),
        ({F: "1e30"}, "ask for 128 at most"),
        ({F: "2", C: "2"}, 'leave equipoise.dev/gpu-count out and write "4"'),
        ({F: "1", C: "1"}, "means whole GPUs already"),
        ({F: "0.5", M: "8Gi"}, "either equipoise.dev/gpu-fraction or equipoise.dev/gpu-memory"),
        ({C: "2"}, "add equipoise.dev/gpu-fraction or equipoise.dev/gpu-memory"),
        ({F: "0.5", C: "0"}, "at least 1"),
        ({F: "0.5", C: "-1"}, "at least 1"),
        ({F: "0.5", C: "1.5"}, "at least 1"),
        ({F: "0.5", C: ""}, "at least 1"),
        ({F: "0.5", C: "²"}, "at least 1"),
        ({F: "0.5", C: "\u0661"}, "at least 1"),
        ({F: "0.5", C: "129"}, "ask for 128 at most"),
        ({F: "0.5", C: "9" * 5000}, "ask for 128 at most"),
        ({F: "1", C: "9" * 5000}, "means whole GPUs already"),
        ({F: "0." + "3" * 10_000}, "finer than 0.001"),
        ({M: ""}, "is not a quantity"),
        ({M: "lots"}, "is not a quantity"),
        ({M: "8Gb"}, "is not a quantity"),
        ({M: "8gi"}, "is not a quantity"),
        ({M: "Gi"}, "is not a quantity"),
        ({M: "nan"}, "is not a quantity"),
        ({M: "0"}, "must be above 0"),
        ({M: "-8Gi"}, "must be above 0"),
        ({M: "1Ei"}, "more than any GPU has"),
        ({M: "1e400"}, "is not a quantity"),
        ({F: "0.5", names.GPU_MODELS: ""}, "name at least one model"),
        ({F: "0.5", names.GPU_MODELS: " , "}, "name at least one model"),
        ({F: "0.5", names.PLACEMENT: "Spread"}, 'write "pack" or "spread"'),
        ({KAI_F: "0"}, "must be above 0"),
        ({KAI_F: "0.5", KAI_M: "4096"}, "either gpu-fraction or gpu-memory"),
        ({KAI_F: "0.5", KAI_C: "x"}, "gpu-fraction-num-devices"),
        ({KAI_C: "2"}, "add gpu-fraction or gpu-memory"),
        ({KAI_M: "8Gi"}, "more than any GPU has"),
        ({F: 0.25}, "write the value as text, in quotes"),
        ({C: None}, "write the value as text, in quotes"),
        ([F], "must be an object"),
    ],
)
def test_annotations_that_can_not_be_granted_as_written(notes: Any, says: str) -> None:
    with pytest.raises(InvalidRequest) as problem:
        parse_request(pod_of(notes))
    assert says in str(problem.value)
    assert len(str(problem.value)) < 300


@pytest.mark.parametrize(
    "pod",
    [
        {},
        {"metadata": None, "spec": None},
        pod_of(None),
        pod_of({}, containers=None, initContainers=None, overhead=None),
        pod_of({}, containers=[{"resources": None}]),
        pod_of({}, containers=[{"resources": {"requests": None, "limits": None}}]),
        pod_of({}, overhead={"cpu": None}),
    ],
)
def test_what_is_null_or_missing_asks_for_nothing(pod: dict[str, Any]) -> None:
    assert parse_request(pod) == Request()


@pytest.mark.parametrize(
    ("text", "preemptible"), [(None, True), ("true", True), ("false", False)]
)  # fmt: skip
def test_a_pod_may_be_stopped_unless_it_says_otherwise(text: str | None, preemptible: bool) -> None:
    notes = {} if text is None else {names.PREEMPTIBLE: text}
    assert parse_preemptible(pod_of(notes)) is preemptible


@pytest.mark.parametrize("text", ["", "yes", "False", "0", False])
def test_any_other_word_for_it_is_refused(text: object) -> None:
    with pytest.raises(InvalidRequest):
        parse_preemptible(pod_of({names.PREEMPTIBLE: text}))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (cpu_only(), "CPU only"),
        (share(250), "0.25 GPU"),
        (share(1, 3), "3 × 0.001 GPU"),
        (whole(1), "1 GPU"),
        (whole(8, models=("A10", "T4")), "8 GPUs of A10 or T4"),
        (by_memory(8192), "8192 MiB"),
        (by_memory(8192, 2, models=("T4",)), "2 × 8192 MiB of T4"),
    ],
)
def test_a_request_says_itself_in_a_few_words(request_: Request, words: str) -> None:
    assert request_.describe() == words


@pytest.mark.parametrize(("text", "seconds"), [(None, None), ("2h", 7200.0), ("90s", 90.0)])
def test_a_pod_runs_for_as_long_as_it_likes_unless_it_says_for_how_long(
    text: str | None, seconds: float | None
) -> None:
    notes = {} if text is None else {names.MAX_RUNTIME: text}
    assert parse_max_runtime(pod_of(notes)) == seconds


def test_a_time_that_can_not_be_read_is_refused() -> None:
    with pytest.raises(InvalidRequest, match='max-runtime: "long" is no duration; write such as'):
        parse_max_runtime(pod_of({names.MAX_RUNTIME: "long"}))


@pytest.mark.parametrize(
    ("text", "count", "linked"),
    [("required", "2", True), ("required", "1", False), ("preferred", "2", False)],
)
def test_several_cards_have_to_be_linked_where_it_says_so(
    text: str, count: str, linked: bool
) -> None:
    request = parse_request(pod_of({names.GPU_FRACTION: count, names.NVLINK: text}))
    assert request.linked is linked


def test_a_word_about_links_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidRequest, match='nvlink: "yes"; write "required" or "preferred"'):
        parse_request(pod_of({names.GPU_FRACTION: "2", names.NVLINK: "yes"}))
