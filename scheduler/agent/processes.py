"""Which pod a process belongs to, as its cgroup says: the kubelet puts the pod's UID in the path.

The kubelet names the folder of a pod `pod<UID>` below `kubepods`, one level deeper for each QoS
class but Guaranteed (pkg/kubelet/cm/cgroup_manager_linux.go). With the systemd driver the whole
path is in one name, and the dashes of the UID are underscores, for a dash means "below" there:
`kubepods-burstable-pod1234_abcd.slice`.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from scheduler.core.model.ids import PodUID

_UID = r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})"
"""The second form is that of a static pod, which the kubelet itself gives a UID."""

_FOLDER = re.compile(rf"{_UID}|(?:\S*-)?kubepods(?:-burstable|-besteffort)?-{_UID}\.slice")


def pod_uid(cgroup: str) -> PodUID | None:
    """Return the UID of the pod in the text of /proc/<pid>/cgroup; None for a process of no pod.

    Both versions of cgroups, both drivers; paths that begin with `/..` too, which is what a reader
    in a cgroup namespace of its own sees. Of several pods in a path the outermost counts: what lies
    further in, the pod may have named itself.
    """
    for line in cgroup.splitlines():
        for folder in line.partition("/")[2].split("/"):
            match = _FOLDER.fullmatch(folder)
            if match:
                return PodUID((match[1] or match[2]).replace("_", "-"))
    return None


def owners(pids: Iterable[int], *, proc: Path) -> dict[int, PodUID]:
    """Return the pod of each process that is a pod's; `proc` is where the host's /proc is.

    PIDs are the host's, so a container needs `hostPID`. Left out is a process that has ended.
    """
    found: dict[int, PodUID] = {}
    for pid in set(pids):
        try:
            text = (proc / str(pid) / "cgroup").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        uid = pod_uid(text)
        if uid is not None:
            found[pid] = uid
    return found


def booted_at(proc: Path) -> float | None:
    """Return when the machine started, in seconds since the epoch; None where nobody says."""
    try:
        text = (proc / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(r"^btime (\d+)$", text, re.MULTILINE)
    return float(found[1]) if found else None
