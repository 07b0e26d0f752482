"""One pod of Equipoise, `serve` and its kube-scheduler, kept alive as a kubelet would.

The kube-scheduler's liveness probe is serve's /healthz, and so is serve's own: after three failures
in a row, one second apart, both are ended and started again. Until it has answered once after a
start a container has a minute instead. A process that ends by itself is started again a second
later; the kubelet would back off longer and longer.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.ports import free_port
from tests.support.controlplane.processes import Process
from tests.support.controlplane.schedulers import Launch, launch, render
from tests.support.controlplane.waiting import eventually

PROBE_SECONDS = 1.0
FAILURES = 3
START_FAILURES = 60
RESTART_SECONDS = 1.0
TICK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a replica listens on 127.0.0.1; the webhook's is for those that use it."""

    extender: int = field(default_factory=free_port)
    web: int = field(default_factory=free_port)
    scheduler: int = field(default_factory=free_port)
    webhook: int = field(default_factory=free_port)

    @property
    def scheduler_url(self) -> str:
        """Setting leadership.url of the `serve` beside it."""
        return f"https://127.0.0.1:{self.scheduler}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve:
    """How `serve` is started: command line, environment, log, and its page for health."""

    argv: Sequence[str]
    log: Path
    health: str
    ready: str
    env: Mapping[str, str] | None = None

    def start(self) -> Process:
        return Process(self.argv, self.log, env=self.env)


class Container:
    """One process of the pod. Only the thread that supervises it calls its methods.

    While it is `held` by a test no probe ends it.
    """

    def __init__(self, start: Callable[[], Process], grace: float) -> None:
        self._start, self._grace = start, grace
        self.process: Process | None = None
        self.starts = 0
        self.answered = self.held = False
        self._failures = 0
        self._due, self._kill_at = 0.0, float("inf")

    def tick(self, now: float) -> None:
        """Start it if it is due; notice that it ended; kill it when its grace is over."""
        if self.process is None:
            if now >= self._due:
                self.process = self._start()
                self.starts += 1
                self.answered, self._failures = False, 0
                self._kill_at = float("inf")
        elif not self.process.running:
            self.process, self._due = None, now + RESTART_SECONDS
        elif now >= self._kill_at:
            self.process.kill()

    def probed(self, good: bool, now: float) -> None:
        """Take a probe's answer in; too many failures in a row end the process."""
        if self.held:
            return
        self.answered = self.answered or good
        self._failures = 0 if good else self._failures + 1
        limit = FAILURES if self.answered else START_FAILURES
        if self._failures == limit and self.process is not None:
            self.process.send(signal.SIGTERM)
            self._kill_at = now + self._grace


class Replica:
    """Starts on `start()`; ends on `close()`, or on `kill()` as when its node dies."""

    def __init__(self, serve: Serve, scheduler: Launch, *, grace: float = 3.0) -> None:
        self._serve = serve
        self.containers = {
            "serve": Container(serve.start, grace),
            "kube-scheduler": Container(scheduler.start, grace),
        }
        self._ending = threading.Event()
        self._probe_at = 0.0
        self._thread = threading.Thread(target=self._supervise, daemon=True)

    def start(self, *, ready_seconds: float = 30.0) -> None:
        """Start both, and wait until `serve` says that it is ready; 0 doesn't wait."""
        self._thread.start()
        if ready_seconds:
            eventually(self._settled, ready_seconds, what=f"it is ready; see {self._serve.log}")

    @property
    def ready(self) -> bool:
        """What serve's readiness page says now."""
        return answers(self._serve.ready)

    def _settled(self) -> bool:
        # Before the probe has seen it answer, a failure would not count for a minute.
        return all(each.answered for each in self.containers.values()) and self.ready

    def pid(self, container: str = "serve") -> int | None:
        """Return the process id of serve or of kube-scheduler, None while it isn't running."""
        process = self.containers[container].process
        return process.pid if process and process.running else None

    def kill_serve(self) -> None:
        self._send("serve", signal.SIGKILL)

    def kill_scheduler(self) -> None:
        self._send("kube-scheduler", signal.SIGKILL)
        self.containers["kube-scheduler"].held = False

    def stop_scheduler(self) -> None:
        """SIGSTOP: it looks at no pod until it goes on or is killed, whatever the probe says."""
        self.containers["kube-scheduler"].held = True
        self._send("kube-scheduler", signal.SIGSTOP)

    def continue_scheduler(self) -> None:
        self._send("kube-scheduler", signal.SIGCONT)
        self.containers["kube-scheduler"].held = False

    def stop_serve(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing."""
        self._send("serve", signal.SIGSTOP)

    def continue_serve(self) -> None:
        """Let it go on, unless it was ended meanwhile for answering nothing."""
        with contextlib.suppress(RuntimeError):
            self._send("serve", signal.SIGCONT)

    def kill(self) -> None:
        """Kill both at once and start nothing again."""
        self._end()
        for container in self.containers.values():
            if container.process is not None:
                container.process.kill()

    def close(self) -> None:
        """End both as the kubelet ends a pod: SIGTERM, and SIGKILL after a while."""
        self._end()
        running = [each.process for each in self.containers.values() if each.process]
        for process in running:
            process.send(signal.SIGTERM)
        for process in running:
            process.stop(grace=5.0)

    def _end(self) -> None:
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _send(self, container: str, number: signal.Signals) -> None:
        process = self.containers[container].process
        if process is None:
            raise RuntimeError(f"{container} isn't running")
        process.send(number)

    def _supervise(self) -> None:
        while not self._ending.wait(TICK_SECONDS):
            for container in self.containers.values():
                container.tick(time.monotonic())
            if time.monotonic() >= self._probe_at:
                self._probe_at = time.monotonic() + PROBE_SECONDS
                good = answers(self._serve.health)
                for container in self.containers.values():
                    container.probed(good, time.monotonic())


def answers(url: str) -> bool:
    """Whether a page answers with success within a second, as the kubelet asks by default."""
    with contextlib.suppress(httpx.TransportError):
        # It is plain HTTP; to read the machine's CAs each second costs benchmarks a percent.
        return httpx.get(url, timeout=1.0, trust_env=False, verify=False).is_success
    return False


def replica(
    plane: ControlPlane,
    *,
    name: str,
    serve: Sequence[str],
    kubeconfig: Path,
    ports: Ports,
    env: Mapping[str, str] | None = None,
    elect: bool = True,
    flags: Sequence[str] = (),
) -> Replica:
    """Return a replica that isn't started yet; its logs and files are named after it.

    `serve` must listen on `ports` and read its kubeconfig from $KUBECONFIG. `flags` are more of
    kube-scheduler's.
    """
    config = render(
        plane.folder,
        kubeconfig,
        name=f"{name}-scheduler",
        extender_port=ports.extender,
        elect=elect,
    )
    log = plane.layout.log(f"{name}-scheduler")
    started = launch(config, log, port=ports.scheduler, flags=flags)
    page = f"http://127.0.0.1:{ports.web}"
    command = Serve(
        argv=serve,
        log=plane.layout.log(f"{name}-serve"),
        env={"KUBECONFIG": str(kubeconfig), **(env or {})},
        health=f"{page}/healthz",
        ready=f"{page}/readyz",
    )
    return Replica(command, started)
