"""helm on our chart: what it renders, file by file."""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "equipoise"
TOOLS = ROOT / "build" / "tools"
NAMESPACE = "equipoise-system"
MISSING = "build/tools/helm is missing; build it with: ./hack/chart/tools.sh build/tools"


class Refused(Exception):
    """helm would not render the chart; the text is its complaint."""


def helm(*arguments: str) -> str:
    """Run helm and return what it prints; raise Refused with its complaint."""
    program = TOOLS / "helm"
    if not program.exists():
        raise FileNotFoundError(MISSING)
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(done.stderr.strip())
    return done.stdout


def rendered(*arguments: str, kube_version: str = "v1.30.0") -> str:
    """Return all objects as text, hooks too."""
    return helm(*_template(kube_version), *arguments)


def rendered_files(arguments: Sequence[str], kube_version: str) -> dict[str, str]:
    """Return the objects of each template as text, by its path below templates/."""
    with tempfile.TemporaryDirectory() as folder:
        helm(*_template(kube_version), f"--output-dir={folder}", *arguments)
        root = Path(folder) / "equipoise" / "templates"
        return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*.yaml")}


def _template(kube_version: str) -> tuple[str, ...]:
    where = f"--namespace={NAMESPACE}"
    return ("template", "equipoise", str(CHART), where, f"--kube-version={kube_version}")
