"""Whose process it is, in every form in which kubelets and runtimes write it."""

from pathlib import Path

import pytest

from scheduler.agent.processes import booted_at, owners, pod_uid

UID = "3e5c85b6-0760-5922-acad-956d0b429fec"
OTHER = "11111111-2222-3333-4444-555555555555"
LOW = UID.replace("-", "_")
C = "cri-containerd-" + "ab" * 32


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"0::/kubepods/pod{UID}/{C}\n", id="v2, cgroupfs, guaranteed"),
        pytest.param(f"0::/kubepods/burstable/pod{UID}/{C}\n", id="v2, cgroupfs, burstable"),
        pytest.param(f"0::/kubepods/besteffort/pod{UID}/{C}", id="v2, cgroupfs, no line end"),
        pytest.param(f"0::/kubepods.slice/kubepods-pod{LOW}.slice/{C}.scope\n", id="v2, systemd"),
        pytest.param(
            f"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{LOW}.slice/"
            f"{C}.scope\n",
            id="v2, systemd, burstable",
        ),
        pytest.param(
            "0::/system.slice/containerd.service/kubelet.slice/kubelet-kubepods.slice/"
            f"kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{LOW}.slice/{C}.scope",
            id="v2, below a root of the kubelet's own",
        ),
        pytest.param(
            f"0::/../../../kubepods-burstable.slice/kubepods-burstable-pod{LOW}.slice/{C}.scope\n",
            id="v2, seen from another pod's namespace",
        ),
        pytest.param(f"0::/../../pod{UID}/{C}\n", id="v2, cgroupfs, seen from a neighbour"),
        pytest.param(
            f"12:pids:/kubepods/burstable/pod{UID}/{C}\n11:memory:/kubepods/burstable/pod{UID}/{C}",
            id="v1, cgroupfs",
        ),
        pytest.param(
            "13:name=systemd:/user.slice\n"
            f"4:cpu,cpuacct:/kubepods.slice/kubepods-pod{LOW}.slice/docker-{'ab' * 32}.scope\n",
            id="v1, systemd, and a hierarchy that is not the kubelet's",
        ),
        pytest.param(
            f"0::/kubepods/pod{UID}/{C}/kubepods/pod{OTHER}/x\n",
            id="what a pod makes inside itself can't make it another",
        ),
    ],
)
def test_the_pod_is_read_from_the_cgroup(text: str) -> None:
    assert pod_uid(text) == UID


def test_a_static_pod_has_a_uid_of_its_own_kind() -> None:
    text = f"0::/kubepods/pod{'0a' * 16}/{C}\n"
    assert pod_uid(text) == "0a" * 16


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0::/\n",
        "0::/init.scope\n",
        "0::/../..\n",
        "0::/user.slice/user-1000.slice/session-3.scope\n",
        f"0::/docker/{'ab' * 32}\n",
        f"0::/machine.slice/libpod-{'ab' * 32}.scope\n",
        "0::/kubepods/burstable\n",
        "0::/kubepods/podcast/x\n",
        f"0::/kubepods/pod{UID}x/{C}\n",
        f"0::/kubepods/my-pod{UID}/{C}\n",
        f"0::/system.slice/fake-pod{LOW}.slice\n",
        "nonsense",
        "\x00\x00",
    ],
)
def test_a_process_of_no_pod_has_none(text: str) -> None:
    assert pod_uid(text) is None


def test_only_processes_that_are_there_and_belong_to_pods_are_told(tmp_path: Path) -> None:
    for pid, text in ((7, f"0::/kubepods/pod{UID}/{C}\n"), (8, "0::/init.scope\n")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cgroup").write_text(text, encoding="utf-8")
    (tmp_path / "9").mkdir()
    assert owners([7, 8, 9, 10, 7], proc=tmp_path) == {7: UID}


def test_the_start_of_the_machine_is_told_where_the_kernel_does(tmp_path: Path) -> None:
    assert booted_at(tmp_path) is None
    (tmp_path / "stat").write_text("cpu 1 2\nbtime 1769000000\nprocesses 7\n", encoding="ascii")
    assert booted_at(tmp_path) == 1_769_000_000.0
    (tmp_path / "stat").write_text("cpu 1 2\n", encoding="ascii")
    assert booted_at(tmp_path) is None
