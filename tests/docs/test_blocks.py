"""The reader of console blocks, and the check of a built site, which other tests rely on."""

from pathlib import Path

import pytest

from hack.docs.offline import foreign
from tests.docs.blocks import commands, shows
from tests.docs.shell import Shell


def test_the_tutorial_has_lines_to_run_and_says_which_need_kind() -> None:
    found = commands("tutorial-kind.md")
    assert {each.line for each in found if each.needs} == {
        "make kind",
        "kubectl -n students logs notebook-0",
        "make kind-delete",
    }
    assert sum(not each.needs for each in found) >= 12


@pytest.mark.parametrize(
    ("output", "printed", "same"),
    [
        ("", "anything\n", True),
        ("a   b", "a b\n", True),
        ("a b", "a c\n", False),
        ("a …", "a b c\n", True),
        ("a …", "a\n", True),
        ("NAME …\nx 1 …", "NAME  AGE\nx  1  3s\n", True),
        ("NAME …\nx 1 …", "NAME  AGE\nx  2  3s\n", False),
        ("…\nlast", "one\ntwo\nlast\n", True),
        ("1.7 (a)", "1x7 (a)\n", False),
    ],
)
def test_what_a_page_shows_is_held_against_what_is_printed(
    output: str, printed: str, same: bool
) -> None:
    assert shows(output, printed) is same


def test_a_shell_keeps_its_variables_and_tells_the_status(tmp_path: Path) -> None:
    with Shell(tmp_path, {"PATH": "/usr/bin:/bin"}) as shell:
        assert shell.run("export A=1") == (0, "")
        assert shell.run('echo "$A"; pwd >&2; false') == (1, f"1\n{tmp_path}\n")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.html", '<script src="https://cdn.example/x.js"></script>', 1),
        ("a.html", '<link rel="stylesheet" href="//fonts.example/x.css">', 1),
        ("a.html", '<a href="https://kubernetes.io/">a link to follow</a>', 0),
        ("a.html", '<link rel="canonical" href="https://a.example/">', 0),
        ("a.css", "@import 'https://fonts.example/x.css'; a {b: url(../c.woff)}", 1),
        ("a.css", "a {b: url(https://fonts.example/x.woff)}", 1),
    ],
)
def test_what_a_site_fetches_from_elsewhere_is_told(
    tmp_path: Path, name: str, text: str, told: int
) -> None:
    (tmp_path / name).write_text(text)
    assert len(list(foreign(tmp_path))) == told
