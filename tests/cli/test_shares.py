"""`equipoise shares`: exact in, exact out; a table for people; one line for what can't be read."""

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.cli.main import run

CASES = Path(__file__).parents[1] / "scenarios" / "shares.json"

Captured = pytest.CaptureFixture[str]


def tenant(name: str, **changes: Any) -> dict[str, Any]:
    plain = {"parent": None, "guarantee": 0, "weight": 1, "limit": None, "priority": 100}
    return {"name": name, **plain, "demand": 1, **changes}


def case(**changes: Any) -> dict[str, Any]:
    return {"id": "one", "total": 1, "tenants": [tenant("a"), tenant("b")], **changes}


def without(entry: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != key}


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(content: object) -> str:
        path = tmp_path / "shares.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


def printed(capsys: Captured) -> Any:
    return json.loads(capsys.readouterr().out)


def test_what_was_brought_is_a_guarantee_where_that_is_contributed(
    write: Any, capsys: Captured
) -> None:
    tenants = [
        tenant("owner", guarantee="contributed", brought=2.5, demand=9),
        tenant("other", guarantee=0, brought=4, demand=9),
    ]
    assert run(["shares", write({"cases": [case(total=6, tenants=tenants)]}), "--json"]) == 0
    (found,) = printed(capsys)["cases"]
    assert found["shares"] == {"owner": "17/4", "other": "7/4"}
    for brought in (-1, 0.0001, "all"):
        tenants[0]["brought"] = brought
        assert run(["shares", write({"cases": [case(total=6, tenants=tenants)]})]) == 2
        assert 'tenant "owner": "brought" must' in capsys.readouterr().err


def test_all_our_cases_are_ok(capsys: Captured) -> None:
    assert run(["shares", str(CASES), "--json"]) == 0
    cases = printed(capsys)["cases"]
    given = json.loads(CASES.read_text())["cases"]
    assert [each["id"] for each in cases] == [each["id"] for each in given]
    assert [each["shares"] for each in cases] == [each["exact"] for each in given]
    assert all(each["ok"] is True for each in cases)


def test_the_table_shows_shares_beside_those_of_kai(capsys: Captured) -> None:
    assert run(["shares", str(CASES)]) == 0
    out = capsys.readouterr().out
    assert "dx-03-ten-small-five-gpus" in out
    assert "differs from KAI" in out
    assert "38 of 38 equal what they should be" in out


def test_a_case_that_comes_out_otherwise_is_no(write: Any, capsys: Captured) -> None:
    path = write({"cases": [case(exact={"a": "1/2", "b": "1/3"}), case(id="two")]})
    assert run(["shares", path, "--json"]) == 1
    assert printed(capsys) == {
        "cases": [
            {"id": "one", "shares": {"a": "1/2", "b": "1/2"}, "ok": False},
            {"id": "two", "shares": {"a": "1/2", "b": "1/2"}},
        ]
    }
    assert run(["shares", path]) == 1
    assert "should be 1/3" in capsys.readouterr().out


def test_decimals_are_read_as_they_are_written(write: Any, capsys: Captured) -> None:
    # As floats 0.1 + 0.2 is more than 0.3, so the two would be cut.
    tenants = [tenant("a", demand=0.1), tenant("b", demand=0.2, guarantee=0.2)]
    assert run(["shares", write({"cases": [case(total=0.3, tenants=tenants)]}), "--json"]) == 0
    assert printed(capsys)["cases"][0]["shares"] == {"a": "1/10", "b": "1/5"}


def test_an_inner_tenant_may_leave_its_demand_out(write: Any, capsys: Captured) -> None:
    tenants = [without(tenant("top"), "demand"), tenant("a", parent="top", demand=3)]
    assert run(["shares", write({"cases": [case(total=2, tenants=tenants)]}), "--json"]) == 0
    assert printed(capsys)["cases"][0]["shares"] == {"top": "2", "a": "2"}


def test_a_deep_tree_of_odd_weights_is_printed_in_full(write: Any, capsys: Captured) -> None:
    tenants = [
        tenant(f"{kind}{i}", parent=f"t{i - 1}" if i else None, weight=weight, demand=100)
        for i in range(200)
        for kind, weight in (("t", 1_000_000_000_000_000_000_003), ("u", 998_244_353 + 2 * i))
    ]
    assert run(["shares", write({"cases": [case(tenants=tenants)]}), "--json"]) == 0
    assert len(printed(capsys)["cases"][0]["shares"]["t199"]) > 5000


def test_names_that_look_like_markup_are_shown_as_they_are(write: Any, capsys: Captured) -> None:
    assert run(["shares", write({"cases": [case(tenants=[tenant("[red]x")])]})]) == 0
    assert "[red]x" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{\n "cases": [\n', "shares.json:3: is no JSON"),
        ("", "shares.json:1: is no JSON"),
        ('{"cases": [{"id": "a", "total": NaN}]}', "NaN is not a number"),
        ('{"cases": [{"id": "a", "total": -Infinity}]}', "-Infinity is not a number"),
        ('{"cases": [{"id": "a", "total": 1e999999999}]}', "is not a number"),
        ('{"cases": [{"id": "a", "total": ' + "9" * 5000 + "}]}", "more than 40 digits"),
        ("[" * 100_000, "nested too deep"),
        ([], "the file must be a JSON object"),
        ({}, '"cases" is missing'),
        ({"cases": {}}, '"cases" must be a list'),
        ({"cases": [1]}, "case 1 must be a JSON object"),
        ({"cases": [without(case(), "id")]}, 'case 1: "id" is missing'),
        ({"cases": [without(case(), "total")]}, 'case "one": "total" is missing'),
        ({"cases": [case(total="3")]}, '"total" must be a number'),
        ({"cases": [case(total=True)]}, '"total" must be a number'),
        ({"cases": [case(total=-1)]}, '"total" must not be below 0'),
        ({"cases": [case(), case()]}, 'case "one" is there twice'),
        ({"cases": [case(tenants=[tenant("")])]}, '"name" must be a text that is not empty'),
        ({"cases": [case(tenants=[tenant("a"), tenant("a")])]}, '"a" is there twice'),
        ({"cases": [case(tenants=[tenant("a", parent="x")])]}, 'parent "x" does not exist'),
        ({"cases": [case(tenants=[tenant("a", parent="a")])]}, '"a" is above itself'),
        ({"cases": [case(tenants=[tenant("a", parent=3)])]}, '"parent" must be a tenant'),
        ({"cases": [case(tenants=[tenant("a", weight=-1)])]}, '"weight" must not be below 0'),
        ({"cases": [case(tenants=[tenant("a", limit=-0.5)])]}, '"limit" must not be below 0'),
        ({"cases": [case(tenants=[tenant("a", demand=None)])]}, '"demand" must be a number'),
        ({"cases": [case(tenants=[tenant("a", priority=1.5)])]}, '"priority" must be a whole'),
        ({"cases": [case(tenants=[without(tenant("a"), "demand")])]}, '"demand" is missing'),
        ({"cases": [case(tenants=[without(tenant("a"), "weight")])]}, '"weight" is missing'),
        ({"cases": [case(exact={"x": "1"})]}, 'names "x", which is no tenant'),
        ({"cases": [case(exact={"a": "1/0"})]}, '"1/0" is not a number such as'),
        ({"cases": [case(exact={"a": "much"})]}, '"much" is not a number such as'),
        ({"cases": [case(exact=["a"])]}, '"exact" must be a JSON object'),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(
    content: object, says: str, write: Any, capsys: Captured
) -> None:
    path = write(content)
    assert run(["shares", path]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"equipoise: {path}")
    assert says in err
    assert len(err) < 400


@pytest.mark.parametrize("name", ["gone.json", "", "no\nfile"])
def test_what_is_no_file_is_told_in_one_line(name: str, tmp_path: Path, capsys: Captured) -> None:
    assert run(["shares", str(tmp_path / name)]) == 2
    err = capsys.readouterr().err
    assert "can't be read" in err
    assert err.count("\n") == 1


def test_bytes_that_are_no_text_are_told_in_one_line(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "shares.json"
    path.write_bytes(b"\xff\xfe\x00")
    assert run(["shares", str(path)]) == 2
    assert "is no UTF-8 text" in capsys.readouterr().err
