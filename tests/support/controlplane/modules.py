"""Files of Go modules: those of others' CRDs, at the versions that are named here."""

import json
import subprocess
import tempfile
from pathlib import Path

JOB_SET = "sigs.k8s.io/jobset@v0.12.0"
LEADER_WORKER_SET = "sigs.k8s.io/lws@v0.7.0"


def file(module: str, path: str) -> Path:
    """Return where a file of the module lies, once Go has fetched that, and checked its sum."""
    with tempfile.TemporaryDirectory() as nowhere:
        done = subprocess.run(
            ["go", "mod", "download", "-json", module],
            cwd=nowhere,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"go mod download {module}: {done.stderr or done.stdout}")
    return Path(json.loads(done.stdout)["Dir"]) / path
