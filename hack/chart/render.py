"""Writes deploy/base from the chart: its objects with default values, for those without Helm.

    python -m hack.chart.render            # write
    python -m hack.chart.render --check    # say what differs, and end with 1 if anything does

kustomization.yaml is written by hand.
"""

import difflib
import re
import sys
from collections.abc import Mapping

import yaml

from hack.chart.helm import ROOT, rendered_files

BASE = ROOT / "deploy" / "base"
ARGUMENTS = ("--set=namespace.create=true", "--set=dashboards.enabled=false")
HELMS_OWN = re.compile(
    r"^ *(app\.kubernetes\.io/managed-by|helm\.sh/\S+|checksum/config): .*\n"
    r"|^# Source: .*\n"
    r"|^ *# As a hook .*\n",
    re.MULTILINE,
)
EMPTY_ANNOTATIONS = re.compile(r"^( *)annotations:\n(?!\1 )", re.MULTILINE)

CONFIGURATIONS = {
    "scheduler/config.yaml": {
        "scheduler-config.yaml": "scheduler-config.yaml",
        "settings.yaml": "scheduler/settings.yaml",
    },
    "agent/config.yaml": {"settings.yaml": "agent/settings.yaml"},
}
"""What these ConfigMaps hold becomes files, of which kustomize makes ConfigMaps of a new name
whenever they change. So pods notice."""


def kubernetes_version() -> str:
    """Return the version that the tests run, which names the tag of kube-scheduler's image."""
    text = (ROOT / "hack" / "controlplane" / "go.mod").read_text()
    found = re.search(r"k8s\.io/kubernetes (v\S+)", text)
    assert found, "hack/controlplane/go.mod requires k8s.io/kubernetes"
    return found[1]


def plain(text: str) -> str:
    """Return a template's objects without what only Helm reads."""
    text = EMPTY_ANNOTATIONS.sub("", HELMS_OWN.sub("", text))
    return re.sub(r"\n{2,}", "\n", text.removeprefix("---\n")).strip() + "\n"


def _configuration(text: str, files: Mapping[str, str]) -> dict[str, str]:
    data: dict[str, str] = {}
    for document in yaml.safe_load_all(text):
        data |= document["data"]
    return {path: data[key].strip() + "\n" for key, path in files.items()}


def base() -> dict[str, str]:
    """Return the files of deploy/base by path."""
    files: dict[str, str] = {}
    for path, text in rendered_files(ARGUMENTS, kubernetes_version()).items():
        if path in CONFIGURATIONS:
            files |= _configuration(text, CONFIGURATIONS[path])
        elif not path.startswith(("hooks/", "tests/")):
            files[path] = plain(text)
    return files


def differences(wanted: Mapping[str, str]) -> list[str]:
    """Return a diff of each file that isn't as the chart renders it."""
    there = {
        str(path.relative_to(BASE)): path.read_text()
        for path in BASE.rglob("*.yaml")
        if path.name != "kustomization.yaml"
    }
    found = []
    for path in sorted(there.keys() | wanted.keys()):
        old, new = there.get(path, "").splitlines(), wanted.get(path, "").splitlines()
        names = f"deploy/base/{path}", f"{path} as rendered"
        found += ["\n".join(difflib.unified_diff(old, new, *names, lineterm=""))]
    return [each for each in found if each]


def write(wanted: Mapping[str, str]) -> None:
    """Write the files."""
    for path, text in wanted.items():
        (BASE / path).parent.mkdir(parents=True, exist_ok=True)
        (BASE / path).write_text(text)


def main(check: bool) -> int:
    """Write, or check."""
    wanted = base()
    if not check:
        write(wanted)
        return 0
    found = differences(wanted)
    if found:
        print(*found, sep="\n")
        print("deploy/base is out of date; run: python -m hack.chart.render", file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] == ["--check"]))
