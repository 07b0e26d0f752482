"""A ServiceAccount as a pod finds it, and the moment when credentials were read anew."""

import asyncio
from pathlib import Path

from tests.support.controlplane.certificates import Authority

IN_A_POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def account(tmp_path: Path, token: str, authority: Authority) -> Path:
    folder = tmp_path / "account"
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text(token)
    (folder / "namespace").write_text("equipoise-system")
    (folder / "ca.crt").write_bytes(authority.certificate.read_bytes())
    return folder


async def renewed() -> None:
    """Wait until the renewal that runs beside requests is over."""
    for task in asyncio.all_tasks():
        if task.get_name() == "credentials":
            await task
