"""Files that can't be used are answered with file, line and what to change, never otherwise."""

from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from scheduler.core.model.errors import InvalidFile
from scheduler.device.mock import MockNode, load_nodes, parse_nodes

HEAD = "name: n\ncpu: 8\nmemory: 32Gi\ndevices:\n"
CARD = "  - model: T4\n    memory: 16Gi\n"


def complaint(text: str) -> InvalidFile:
    with pytest.raises(InvalidFile) as caught:
        parse_nodes(text, path="mock.yaml")
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("", 1, "is empty"),
        ("# nothing but a comment\n", 1, "is empty"),
        ("- a\n", 1, "the file must be a mapping"),
        ("nodes: [\n", 2, "is no readable YAML"),
        ("nodes:\n\t- a\n", 2, "is no readable YAML"),
        ("a: 1\n---\nb: 2\n", 2, "is no readable YAML"),
        ("nodes: \x01\n", 1, "holds a character that YAML forbids"),
        ('name: "\\UFFFFFFFF"\n', 1, "is no readable YAML"),
        ("nodes: !!python/name:os.system\n", 1, "nodes must be a list"),
        ("name: n\ncpu: 8\n", 1, "neither nodes nor devices"),
        ("nodes: []\n", 1, "nodes is empty"),
        ("nodes:\n", 1, "nodes must be a list"),
        ("nodes:\n  - a\n", 2, "an entry of nodes must be a mapping"),
        ("nodes: []\ncolour: red\n", 2, 'unknown key "colour" in the file; known are models'),
        ("nodes:\n  - {name: a, memory: 1Gi}\n", 2, "lacks cpu"),
        ("nodes:\n  - {name: a, cpu: 1}\n", 2, "lacks memory"),
        ("nodes:\n  - name: A_b\n    cpu: 1\n    memory: 1Gi\n", 2, "is no name for a node"),
        ("nodes: [{name: a, cpu: 0, memory: 1Gi}]\n", 1, "write a number of cores above 0"),
        ("nodes: [{name: a, cpu: -4, memory: 1Gi}]\n", 1, "write a number of cores above 0"),
        ("nodes: [{name: a, cpu: many, memory: 1Gi}]\n", 1, 'cpu is "many"; write'),
        ("nodes: [{name: a, cpu: 1, memory: 80}]\n", 1, "write a size with its unit"),
        ("nodes: [{name: a, cpu: 1, memory: -1Gi}]\n", 1, "write a size such as 24Gi"),
        ("nodes: [{name: a, cpu: 1, memory: 9999999Ti}]\n", 1, "write a size such as 24Gi"),
        ("nodes:\n- &x {name: a, cpu: 1, memory: 1Gi}\n- *x\n", 2, '"a" is used twice'),
        ("nodes: [{name: a, count: 99999999, cpu: 1, memory: 1Gi}]\n", 1, "must be between 1"),
        ("nodes: [{name: a, cpu: 1, cpu: 2, memory: 1Gi}]\n", 1, '"cpu" is given twice'),
        ("models: {T4: {}}\nnodes: []\n", 1, "T4 lacks memory"),
        ("models: {NVIDIA: {memory: 1Gi}}\ndevices: []\n", 1, "is no name for a model"),
        (HEAD + "  model: T4\n", 5, "devices must be a list"),
        (HEAD + "  - memory: 16Gi\n", 5, "lacks model"),
        (HEAD + "  - model: T4\n", 5, 'the memory of model "T4" is unknown'),
        (HEAD + CARD + "    colour: red\n", 7, 'unknown key "colour"'),
        (HEAD + CARD + "    count: 0\n", 7, "must be between 1 and 128"),
        (HEAD + CARD + "    count: 1.5\n", 7, "must be a whole number"),
        (HEAD + CARD + "    count: [1]\n", 7, "count must be a number"),
        (HEAD + CARD + "    count:\n", 7, "count is empty"),
        (HEAD + CARD + "    count: .nan\n", 7, "write a number"),
        (HEAD + CARD + "    count: 100\n" + CARD + "    count: 100\n", 8, "more than 128 devices"),
        (HEAD + CARD + "    repeat: 5\n", 7, "repeat without load"),
        (HEAD + CARD + "    load: []\n", 7, "load is empty"),
        (HEAD + CARD + "    load: [{utilisation: 0.5}]\n", 7, "lacks at"),
        (HEAD + CARD + "    load: [{at: 0, utilisation: 30}]\n", 7, "between 0 and 1"),
        (HEAD + CARD + "    load: [{at: -1}]\n", 7, "must be between 0"),
        (HEAD + CARD + "    load:\n    - {at: 5}\n    - {at: 5}\n", 9, "put steps in order"),
        (HEAD + CARD + "    load: [{at: 0, foreign: 17Gi}]\n", 7, "more than the device's 16384"),
        (HEAD + CARD + "    load: [{at: 0, pods: 80}]\n", 7, "between 0 and 10"),
        (HEAD + CARD + "    load: [{at: 9}]\n    repeat: 9\n", 8, "later than the last step"),
        (HEAD + CARD + "    fault: {at: 5}\n", 7, "write one of them"),
        (HEAD + CARD + "    fault: {at: 5, lost: true, xid: 3}\n", 7, "write one of them"),
        (HEAD + CARD + "    fault: {at: 5, lost: false}\n", 7, "remove the fault"),
        (HEAD + CARD + "    fault: {at: 5, lost: maybe}\n", 7, "write true or false"),
        (HEAD + CARD + "    fault: {lost: true}\n", 7, "lacks at"),
        (HEAD + CARD + "    mig: []\n", 7, "mig is empty"),
        (HEAD + CARD + "    mig: [9g.10gb]\n", 7, "is no MIG profile"),
        (HEAD + CARD + "    mig: [1g.20gb]\n", 7, "the card 16384"),
        (HEAD + CARD + "    mig: [4g.1gb, 4g.1gb]\n", 7, "8 compute slices"),
        (HEAD + CARD + "    mig: [1g.1gb]\n    load: [{at: 0}]\n", 8, "give it to its slices"),
        (
            HEAD + CARD + "    mig: [{profile: 1g.1gb, load: [{at: 0, utilisation: 1}]}]\n",
            7,
            "remove utilisation",
        ),
    ],
)
def test_what_cannot_be_used_is_answered_with_line_and_remedy(
    text: str, line: int, problem: str
) -> None:
    found = complaint(text)
    assert problem in str(found)
    assert found.line == line
    assert str(found).startswith(f"mock.yaml:{line}: ")
    assert "\n" not in str(found)


def test_brackets_nested_without_end_are_refused() -> None:
    assert "is no readable YAML" in str(complaint("nodes: " + "[" * 20_000))


def test_a_list_that_holds_itself_is_refused() -> None:
    assert "must be a mapping" in str(complaint("nodes: &a [*a]\n"))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="there is no such file"):
        load_nodes(tmp_path / "none.yaml")


def test_a_folder_and_an_impossible_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="can't be opened"):
        load_nodes(tmp_path)
    with pytest.raises(InvalidFile, match="can't be opened"):
        load_nodes("a\0b")


def test_a_file_of_other_bytes_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes(b"name: n\ncpu: \xff\n")
    with pytest.raises(InvalidFile, match="save it as UTF-8") as caught:
        load_nodes(file)
    assert caught.value.line == 2


def test_a_byte_order_mark_is_no_trouble(tmp_path: Path) -> None:
    file = tmp_path / "bom.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + (HEAD + CARD).encode())
    assert load_nodes(file)[0].name == "n"


KEYS = st.sampled_from(
    [
        *(
            "models",
            "nodes",
            "name",
            "count",
            "cpu",
            "memory",
            "devices",
            "model",
            "load",
            "repeat",
        ),
        *("fault", "mig", "at", "utilisation", "foreign", "lost", "xid", "profile", "T4", "<<"),
    ]
)
SCALARS = (
    st.sampled_from(
        ["T4", "n", "16Gi", "1g.1gb", "", "500m", "2001-99-99", "1:99", "0x1", "1e400", ".inf"]
    )
    | st.none()
    | st.booleans()
    | st.integers(-5, 200)
    | st.floats()
    | st.text(max_size=5)
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | SCALARS, inner, max_size=6),
    max_leaves=25,
)
LIKELY = st.fixed_dictionaries(
    {
        "name": st.just("n"),
        "cpu": st.just(8) | SCALARS,
        "memory": st.just("32Gi") | SCALARS,
        "devices": st.lists(
            st.fixed_dictionaries(
                {"model": st.just("T4"), "memory": st.just("16Gi")},
                optional={
                    "count": SCALARS,
                    "load": st.lists(st.dictionaries(KEYS, SCALARS), max_size=3) | ANYTHING,
                    "repeat": SCALARS,
                    "fault": st.dictionaries(KEYS, SCALARS) | ANYTHING,
                    "mig": st.lists(SCALARS | st.dictionaries(KEYS, SCALARS), max_size=3),
                },
            ),
            max_size=3,
        ),
    }
)


def attempt(text: str) -> tuple[MockNode, ...] | InvalidFile:
    try:
        return parse_nodes(text)
    except InvalidFile as problem:
        return problem


def check_that_it_is_read_or_refused(text: str) -> None:
    outcome = attempt(text)
    if isinstance(outcome, InvalidFile):
        assert outcome.line is not None
        assert 1 <= outcome.line <= len(text.splitlines()) + 2
        assert len(str(outcome).splitlines()) == 1
        return
    for node in outcome:
        assert node.cpu_milli > 0
        assert node.ram_mib > 0
        for record in node.driver.inventory(3.0):
            assert record.memory_mib > 0
        node.driver.usage(3.0)


@given(ANYTHING | LIKELY)
def test_any_yaml_is_read_or_refused_with_a_line(document: object) -> None:
    check_that_it_is_read_or_refused(yaml.safe_dump(document, allow_unicode=True))


@given(st.text() | st.text(alphabet="{}[]:,-&*!|>'\"%@#? \n\tnodescpu0"))
@example("nodes: [{name: a, cpu: \u00b2, memory: 1Gi}]")
@example("%YAML 9.9\n---\nnodes: []")
@example("? [a]\n: b")
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    check_that_it_is_read_or_refused(text)
