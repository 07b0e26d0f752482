"""Lets go of the pods that wait for Equipoise, once it is gone: nobody else would.

Where that harms nothing they are evicted, and their owner makes them again, without Equipoise: pods
of ReplicaSets and the like, and of Jobs to which an eviction is no failure. Any other Job would
count each as a failure and end with all its running pods; a pod without an owner would be lost.
Those are left as they are, and named. So are running pods, which nobody here looks at.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kubernetes import client, config

GATE = "equipoise.dev/fair-share"
WAITING = "spec.schedulerName=equipoise,spec.nodeName="
PAGE = 500
MAKERS = ("ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet")
"""They make a pod again, however it went. Of kinds that aren't Kubernetes' own nobody knows."""

ROUNDS = 3
PATIENCE_SECONDS = 60.0
"""The API server may go by a policy, or ask a webhook, for a moment after it was deleted."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What matters of a pod that waits."""

    uid: str
    namespace: str
    name: str
    gated: bool
    conditions: frozenset[tuple[str, str]]
    owner: Any = None

    @property
    def title(self) -> str:
        """Its owner, or itself."""
        kind, name = (self.owner.kind, self.owner.name) if self.owner else ("Pod", self.name)
        return f"{self.namespace}: {kind} {name}"


def read(pod: Any) -> Waiting:
    """Return what matters of it."""
    meta = pod.metadata
    owners = (owner for owner in meta.owner_references or () if owner.controller)
    gated = any(gate.name == GATE for gate in pod.spec.scheduling_gates or ())
    conditions = frozenset((each.type, each.status) for each in pod.status.conditions or ())
    return Waiting(meta.uid, meta.namespace, meta.name, gated, conditions, next(owners, None))


def waiting(core: Any) -> Iterator[Waiting]:
    """Read all that wait now, page by page, but for those that are going."""
    token = None
    while True:
        page = core.list_pod_for_all_namespaces(field_selector=WAITING, limit=PAGE, _continue=token)
        yield from (read(pod) for pod in page.items if not pod.metadata.deletion_timestamp)
        token = page.metadata._continue
        if not token:
            return


def ignores(policy: Any, conditions: frozenset[tuple[str, str]]) -> bool:
    """Whether a Job's podFailurePolicy has a pod with these conditions be evicted for nothing.

    The first rule that fits decides. Rules on exit codes don't fit a pod that never ran.
    """
    met = conditions | {("DisruptionTarget", "True")}
    for rule in policy.rules if policy else ():
        patterns = rule.on_pod_conditions or ()
        if any((each.type, each.status or "True") in met for each in patterns):
            return str(rule.action) == "Ignore"
    return False


@dataclass(slots=True)
class Letting:
    """Goes over the pods, and remembers whom it asked."""

    core: Any
    batch: Any
    policies: dict[str, Any] = field(default_factory=dict)
    rounds: Counter[str] = field(default_factory=Counter)
    tried: set[str] = field(default_factory=set)

    def sweep(self) -> tuple[list[str], Counter[str], list[str]]:
        """Return owners whose pods were evicted, who is left waiting and why, and what failed."""
        # Read to the end first: pages grow old while pods are evicted.
        pods = list(waiting(self.core))
        owners, left, problems = set(), Counter[str](), []
        for pod in pods:
            try:
                why = self.reason(pod)
                if why:
                    left[f"{pod.title} ({why})"] += 1
                    continue
                self.tried.add(pod.uid)
                self.evict(pod)
                owners.add((pod.owner.uid, pod.title))
            except client.ApiException as problem:
                if problem.status != 404:
                    text = f"{problem.status} {problem.reason}"
                    problems.append(f"{pod.namespace}/{pod.name}: {text}")
        self.rounds.update(uid for uid, _ in owners)
        return sorted(title for _, title in owners), left, problems

    def reason(self, pod: Waiting) -> str:
        """Return why this pod is left waiting, "" if it can be evicted."""
        if pod.owner is None:
            return "nobody would make it again"
        if pod.owner.kind == "Job":
            if not ignores(self.policy(pod), pod.conditions):
                return "would count an eviction as a failure"
        elif pod.owner.kind not in MAKERS:
            return "may not make pods again"
        # A gate may come from the webhook in its last moments; a name alone is the template's.
        again = self.rounds[pod.owner.uid] >= (ROUNDS if pod.gated else 1)
        return "names Equipoise's scheduler itself" if again and pod.uid not in self.tried else ""

    def policy(self, pod: Waiting) -> Any:
        """Return the podFailurePolicy of its Job, None if it has none."""
        if pod.owner.uid not in self.policies:
            job = self.batch.read_namespaced_job(pod.owner.name, pod.namespace)
            self.policies[pod.owner.uid] = job.spec.pod_failure_policy
        return self.policies[pod.owner.uid]

    def evict(self, pod: Waiting) -> None:
        """Delete it in the way of which its owner knows that it is no failure."""
        same = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=pod.uid))
        metadata = client.V1ObjectMeta(name=pod.name, namespace=pod.namespace)
        eviction = client.V1Eviction(metadata=metadata, delete_options=same)
        self.core.create_namespaced_pod_eviction(pod.name, pod.namespace, eviction)


def say(*lines: str) -> None:
    """Print them now, one a line."""
    for line in lines:
        print(line, flush=True)


def main() -> int:
    """Sweep until nothing is left to do, or goes wrong for too long."""
    config.load_config()  # type: ignore[no-untyped-call] # it has no types
    letting = Letting(client.CoreV1Api(), client.BatchV1Api())
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        owners, left, problems = letting.sweep()
        say(*(f"{title}: evicted, to be made again" for title in owners), *problems)
        if not owners and not problems:
            break
        if problems and time.monotonic() > end:
            print(
                "these pods still wait for Equipoise; their owners must make them anew",
                file=sys.stderr,
            )
            return 1
        time.sleep(2)
    if left:
        say("still waiting for a scheduler `equipoise`; create them anew, or install it again:")
        say(*(f"  {title}: {count} waiting" for title, count in sorted(left.items())))
    say("nothing else waits for Equipoise")
    return 0


if __name__ == "__main__":
    sys.exit(main())
