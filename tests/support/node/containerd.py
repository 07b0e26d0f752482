"""containerd with a root, a state and a socket of its own, and the images that pods use."""

import os
import subprocess
from pathlib import Path

from tests.support.controlplane.processes import Process
from tests.support.controlplane.waiting import eventually
from tests.support.node.layout import BUILD, BUSYBOX, PLUGINS, PODS, built

SOCKET = Path("/run/equipoise/containerd.sock")
NAMESPACE = "k8s.io"

_CONFIG = """\
version = 3
root = '{root}'
state = '{state}'

[grpc]
  address = '{socket}'

[plugins.'io.containerd.internal.v1.opt']
  path = '{root}/opt'

[plugins.'io.containerd.cri.v1.images']
  snapshotter = '{snapshotter}'
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = '{sandbox}'

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['{plugins}']
    conf_dir = '{networks}'
"""

_NETWORK = """\
{{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {{
      "type": "ptp",
      "ipam": {{
        "type": "host-local",
        "ranges": [[{{"subnet": "{pods}"}}]],
        "routes": [{{"dst": "0.0.0.0/0"}}],
        "dataDir": "{addresses}"
      }}
    }}
  ]
}}
"""


class Containerd:
    """Starts at once. Everything that it keeps lies in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        SOCKET.parent.mkdir(parents=True, exist_ok=True)
        self._snapshotter = "overlayfs" if _overlays(folder) else "native"
        self._argv = [built("containerd"), "--config", str(self._configure())]
        self.process = self._start()

    def restart(self) -> None:
        """Kill it and start it again; containers run on, their shims hold them."""
        self.process.kill()
        self.process = self._start()

    def load(self, *names: str) -> None:
        """Import archives that `make node-images` made."""
        for name in names:
            self._ctr(
                "images", "import", "--local", "--snapshotter", self._snapshotter,
                built(f"{name}.tar"),
            )  # fmt: skip

    def _start(self) -> Process:
        # The shim lies beside it.
        env = {"PATH": f"{BUILD}{os.pathsep}{os.environ['PATH']}"}
        process = Process(self._argv, self.folder.parent / "containerd.log", env=env)
        eventually(self._answers, 20, what=f"containerd answers; see {process.log}")
        return process

    def _answers(self) -> bool:
        try:
            self._ctr("version")
        except RuntimeError:
            return False
        return True

    def _ctr(self, *argv: str) -> str:
        command = [built("ctr"), "--address", str(SOCKET), "--namespace", NAMESPACE, *argv]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise RuntimeError(f"ctr {' '.join(argv)}: {done.stderr or done.stdout}")
        return done.stdout

    def _configure(self) -> Path:
        networks = self.folder / "networks"
        networks.mkdir()
        network = _NETWORK.format(pods=PODS, addresses=self.folder / "addresses")
        (networks / "10-pods.conflist").write_text(network)
        path = self.folder / "config.toml"
        text = _CONFIG.format(
            root=self.folder / "root",
            state=SOCKET.parent / "state",
            socket=SOCKET,
            snapshotter=self._snapshotter,
            sandbox=BUSYBOX,
            plugins=PLUGINS,
            networks=networks,
        )
        path.write_text(text)
        return path


def _overlays(folder: Path) -> bool:
    """Whether its file system can lie below an overlay; else each container gets a full copy."""
    layers = {name: folder / f"try-{name}" for name in ("lower", "upper", "work", "merged")}
    for path in layers.values():
        path.mkdir()
    options = ",".join(f"{name}dir={layers[name]}" for name in ("lower", "upper", "work"))
    merged = str(layers["merged"])
    tried = subprocess.run(
        ["mount", "-t", "overlay", "-o", options, "overlay", merged],
        capture_output=True,
        check=False,
    )
    if tried.returncode == 0:
        subprocess.run(["umount", merged], check=True)
    return tried.returncode == 0
