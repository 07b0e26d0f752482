"""The shape of the code, kept by a machine: layers, sizes, types, versions, paths."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hack import sizes

ROOT = sizes.ROOT
HOMES = re.compile(r"(?<![\w.$)}~-])/(?:home|root|Users|work|mnt)/[\w.]")
"""A path on somebody's own machine; not the middle of an address or of a longer path."""


def _project() -> Mapping[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_layers_import_only_what_lies_below_them() -> None:
    # In a process of its own: it sets logging up anew, which silences other tests' loggers.
    linter = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, f"move the import, or what it needs: {run.stdout}{run.stderr}"


def test_files_and_functions_are_small_and_typed() -> None:
    assert not sizes.complaints(sizes.modules())


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("x = 1\n" * 501, "one of its ideas"),
        ("def f() -> int:\n" + "    x = 1\n" * 60, "give its steps names"),
        ("def f():\n    return 1\n", "add -> its type"),
        ("x = 1\n" * 151, "median file"),
        ("def f() -> int:\n" + "    x = 1\n" * 30, "p90 function"),
        ("def f() -> int:\n" + "    x = 1\n" * 8, "median function"),
    ],
)
def test_what_is_too_large_or_untyped_is_named(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "module.py").write_text(text)
    found = sizes.complaints(sizes.modules(tmp_path, tmp_path))
    assert any(word in line and "module.py" in line for line in found)


def test_a_docstring_does_not_count_as_code(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(
        'def f() -> int:\n    """A.\n\n    B.\n    """\n    return 1\n'
    )
    (module,) = sizes.modules(tmp_path, tmp_path)
    assert [function.lines for function in module.functions] == [2]


@pytest.mark.parametrize(
    "path", sorted(sizes.PACKAGE.rglob("__init__.py")), ids=lambda path: path.parent.name
)
def test_each_package_says_what_may_live_there_and_holds_nothing_else(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path}: add a docstring that says what may live there"
    assert len(tree.body) == 1, f"{path}: move the code into a module of its own"


def test_the_changelog_ends_at_the_version_of_the_package() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)
    version = _project()["project"]["version"]
    assert versions[:1] == [version], f"add a section [{version}] on top of CHANGELOG.md"


def test_the_lock_pins_every_dependency_and_names_no_registry() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    project = _project()["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(entry for extra in extras for entry in extra)]
    names = {re.split(r"[<>=!~;\[ ]", entry)[0].lower().replace("_", "-") for entry in wanted}
    pinned = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    assert names <= pinned, f"run make lock; not pinned: {names - pinned}"
    assert "://" not in lock, "an address of a registry is in requirements.lock; take it out"


def test_no_file_names_a_path_on_somebodys_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout, so nobody knows which files belong to it")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    found = [
        f"{path.relative_to(ROOT)}: take out {match[0]}"
        for path in paths
        if path.is_file()
        for match in HOMES.finditer(path.read_text(encoding="utf-8", errors="ignore"))
    ]
    assert not found


def test_a_path_on_somebodys_machine_is_told_from_an_address() -> None:
    home = "/".join(["", "home", "ada", "notes"])
    assert HOMES.search(f"see {home}")
    assert HOMES.search(f'"{home}"')
    assert not HOMES.search(f"https://example.org{home}")
    assert not HOMES.search(f"..{home}")
